import { outboundSink } from '#shared/domain/instance/staging.ts';
import { startSink } from './sink.ts';

// The program in the pods of Deployment outbound-sink: a line of JSON for each attempt, and nothing else.
const sink = await startSink({
  address: process.env['LISTEN_ADDRESS'] ?? '0.0.0.0',
  ports: { mail: outboundSink.mailPort, proxy: outboundSink.proxyPort, health: 8080 },
  tell(attempt) {
    const line = { level: 'warn', message: 'a staging copy tried to reach the world', ...attempt };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  },
});
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void sink.stop());
