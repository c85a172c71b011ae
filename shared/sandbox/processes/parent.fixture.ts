// Started by the test of processes.ts, which kills it: opens a group with three programs and prints their ids.
import { openProcessGroup } from '#shared/sandbox/processes.ts';

const logFile = process.argv[2] as string;
const group = await openProcessGroup();
const env = { PATH: '/usr/bin:/bin' };
const scripts = [
  'sleep 600',
  // does not listen, and has a child of its own
  "trap '' TERM; sleep 600 & echo grandchild $!; while :; do sleep 600; done",
  'echo ready; exec sleep 600',
];
const pids: number[] = [];
for (const script of scripts) {
  const started = await group.start({ name: 'sleeper', command: 'sh', args: ['-c', script], env, logFile });
  pids.push(started.pid);
}
process.stdout.write(`${JSON.stringify(pids)}\n`);
