// The product: a function for events as the fleet's own are, whose handler has nothing to do.
import { provisionRequested } from '#events/instance/provision-requested.ts';
import { eventFunction } from '#shared/runtime/event-function.ts';
import { openLog } from '#shared/runtime/log.ts';
import { makeMetrics } from '#shared/runtime/metrics.ts';
import { serve } from '#shared/runtime/serve.ts';

const log = openLog({ name: 'bench', level: 'info' });
const metrics = makeMetrics({ functionName: 'bench' });
const handler = eventFunction({
  name: 'bench',
  definitions: [provisionRequested],
  log,
  metrics,
  authorise: () => Promise.resolve({ customerId: null }),
  handle: () => Promise.resolve('done'),
  storeDead: (event) => Promise.reject(new Error(`the bench sent a bad event: ${event.reason}`)),
});
await serve(handler, { port: Number(process.env['PORT']), host: '127.0.0.1', log, metrics });
