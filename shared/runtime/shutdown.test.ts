import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { makeShutdown } from './shutdown.ts';

const log = pino({ level: 'silent' });

function make(timeoutMs = 1_000) {
  const steps: string[] = [];
  const shutdown = makeShutdown({ log, timeoutMs, exit: (code) => void steps.push(`exit ${code}`) });
  return { shutdown, steps };
}

describe('the shutdown', () => {
  it('runs its phases in order, whatever the order of registration', async () => {
    const { shutdown, steps } = make();
    shutdown.during('close-connections', 'pool', () => void steps.push('pool'));
    shutdown.during('flush', 'outbox', () => void steps.push('flush'));
    shutdown.during('finish-requests', 'http', async () => {
      await Promise.resolve();
      steps.push('requests');
    });
    shutdown.during('stop-accepting', 'http', () => void steps.push('stop'));
    expect(shutdown.isBegun).toBe(false);
    await shutdown.begin('SIGTERM');
    expect(shutdown.isBegun).toBe(true);
    expect(steps).toEqual(['stop', 'requests', 'flush', 'pool', 'exit 0']);
  });

  it('goes on when a task fails', async () => {
    const { shutdown, steps } = make();
    shutdown.during('flush', 'bad', () => {
      throw new Error('cannot');
    });
    shutdown.during('flush', 'worse', () => Promise.reject(new Error('cannot either')));
    shutdown.during('close-connections', 'pool', () => void steps.push('pool'));
    await shutdown.begin('SIGTERM');
    expect(steps).toEqual(['pool', 'exit 0']);
  });

  it('ends the process with code 1 when something never ends', async () => {
    const { shutdown, steps } = make(20);
    shutdown.during('finish-requests', 'http', () => new Promise(() => undefined));
    await shutdown.begin('SIGTERM');
    expect(steps).toEqual(['exit 1']);
  });

  it('ends once, with the code of the first call', async () => {
    const { shutdown, steps } = make();
    await Promise.all([shutdown.begin('uncaughtException', 1), shutdown.begin('SIGTERM')]);
    expect(steps).toEqual(['exit 1']);
  });
});
