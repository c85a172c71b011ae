import type { WorkerProgress } from '#shared/domain/backup/manifest.ts';
import { asFailure } from '#shared/domain/failure.ts';
import type { ObjectStore } from '#shared/domain/objects/ports.ts';

const intervalMs = 2_000;

export type Progress = {
  /** Begins a phase. `total` null: nobody knows. */
  phase(phase: WorkerProgress['phase'], of?: { total: number | null; unit: WorkerProgress['unit'] }): void;
  /** So much more of the phase is done. */
  add(more: number): void;
  /** Waits for a write that is under way. */
  settled(): Promise<void>;
};

/**
 * Tells how far a Job is, in an object that is overwritten at most every two seconds. It is for people: that it cannot be
 * written ends no backup, and is said once.
 */
export function reportProgress(
  store: Pick<ObjectStore, 'put'>,
  key: string,
  { say, nowMs = Date.now }: { say(line: string): void; nowMs?: () => number },
): Progress {
  let current: Omit<WorkerProgress, 'at'> = { phase: 'snapshot', done: 0, total: null, unit: 'bytes' };
  let writtenMs = Number.NEGATIVE_INFINITY;
  let writing: Promise<void> | undefined;
  let hasFailed = false;

  function write(): void {
    if (writing !== undefined || nowMs() - writtenMs < intervalMs) return;
    writtenMs = nowMs();
    const progress: WorkerProgress = { ...current, at: new Date(nowMs()).toISOString() };
    writing = store
      .put(key, Buffer.from(JSON.stringify(progress)))
      .then(
        () => undefined,
        (error: unknown) => {
          if (!hasFailed) say(`The progress could not be written: ${asFailure(error).message}`);
          hasFailed = true;
        },
      )
      .finally(() => {
        writing = undefined;
      });
  }

  return {
    phase(phase, { total, unit } = { total: null, unit: 'bytes' }) {
      current = { phase, done: 0, total, unit };
      write();
    },
    add(more) {
      current = { ...current, done: current.done + more };
      write();
    },
    async settled() {
      await writing;
    },
  };
}
