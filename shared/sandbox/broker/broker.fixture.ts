// A broker in a process of its own, for the test that kills it. Argument: folder, subscriber's URL. Prints the broker's URL.
import { startBroker } from './broker.ts';

const [folder = '', subscriber = ''] = process.argv.slice(2);
const { url } = await startBroker({
  folder,
  triggers: [
    {
      name: 't',
      broker: 'fleet',
      filterAttributes: {},
      subscriber: 's',
      parallelism: 1,
      delivery: {
        retry: 5,
        backoff: { policy: 'exponential', delayMs: 1000 },
        timeoutMs: 60_000,
        deadLetterSink: 'dead-letter',
      },
    },
  ],
  subscriberUrl: () => subscriber,
});
process.stdout.write(`${url}\n`);
