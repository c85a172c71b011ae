import { CloudEvent, HTTP } from 'cloudevents';
import { provisionRequested } from '#events/instance/provision-requested.ts';
import { parseEvent } from '#shared/adapters/eventing/parse.ts';
import { receive } from '#shared/adapters/eventing/receive.ts';
import { interleave } from '../rounds.ts';
import { median } from '../statistics.ts';
import { body, headers } from './event.ts';

/** Median microseconds of processor time per event that each part of reading one takes, in this process. */
export type PartTimes = { sdkBuild: number; sdkToEvent: number; receive: number; receiveAndParse: number };

const perRound = 5_000;

/** Times the parts of reading an event, without a server around them. */
export async function timeParts(rounds: number): Promise<PartTimes> {
  const bytes = Buffer.from(body);
  const names = ['specversion', 'id', 'source', 'type', 'subject'];
  const attributes = Object.fromEntries(names.map((name) => [name, headers[`ce-${name}`]]));
  const times = {
    // what our own receive() leaves to the SDK: the event and its check against the CloudEvents schema
    sdkBuild: () => new CloudEvent<unknown>({ ...attributes, time: '2000-01-01T00:00:00Z' }),
    // the SDK's own way from a request to an event
    sdkToEvent: () => HTTP.toEvent({ headers: { ...headers }, body }),
    receive: () => receive(headers, bytes),
    receiveAndParse: () => parseEvent(receive(headers, bytes), [provisionRequested]),
  };
  const samples = await interleave(rounds + 1, {
    sdkBuild: () => microseconds(times.sdkBuild),
    sdkToEvent: () => microseconds(times.sdkToEvent),
    receive: () => microseconds(times.receive),
    receiveAndParse: () => microseconds(times.receiveAndParse),
  });
  // the first round is the compiler's
  const of = (name: keyof PartTimes) => median(samples[name].slice(1));
  return {
    sdkBuild: of('sdkBuild'),
    sdkToEvent: of('sdkToEvent'),
    receive: of('receive'),
    receiveAndParse: of('receiveAndParse'),
  };
}

function microseconds(work: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  for (let count = 0; count < perRound; count += 1) work();
  const { user, system } = process.cpuUsage(before);
  return Promise.resolve((user + system) / perRound);
}
