import { openApi } from './api.ts';
import { followIngresses } from './follow.ts';
import { openProxy } from './proxy.ts';
import { openTable } from './table.ts';

/** Where Knative's Services of kind ExternalName lead: this program's own Service. */
const address = 'fleet-ingress.knative-serving.svc.cluster.local';

const table = openTable();
const stop = new AbortController();
const proxy = openProxy({ table, port: 8080 });
process.on('SIGTERM', () => {
  stop.abort();
  proxy.close(() => process.exit(0));
});
await followIngresses({ api: openApi(), table, address, signal: stop.signal });
