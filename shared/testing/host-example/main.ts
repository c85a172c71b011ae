import { makeMetrics } from '#shared/runtime/metrics.ts';
import { serve } from '#shared/runtime/serve.ts';
import { handleSignals, makeShutdown } from '#shared/runtime/shutdown.ts';
import { example, log } from './function.ts';

const shutdown = makeShutdown({ log, timeoutMs: 20_000 });
handleSignals(shutdown, { log });
const metrics = makeMetrics({ functionName: 'example' });
await serve(example, { port: Number(process.env['PORT']), host: '127.0.0.1', log, metrics, shutdown });
