import { defineConfig, parseConfig, row, text } from '#shared/runtime/config.ts';
import { startSuspensionPage } from './server.ts';

/** As its Deployment and Service name them. */
const ports = { billing: 8402, abuse: 8403, health: 8080 };

const rows = defineConfig({
  address: row('LISTEN_ADDRESS', text(), '0.0.0.0', 'Address to listen on: the address of the pod.'),
});

const page = await startSuspensionPage({ ...parseConfig(rows, process.env), ports });
// The manifest's preStop wait has kept it answering until no proxy sends anything here any more.
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void page.stop());
