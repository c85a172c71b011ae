import type { StepContext } from '#shared/domain/operation/step.ts';
import type { Run } from './run.ts';

/** Keeps the lease while a slow step runs. A renewal that fails changes nothing: the lease then ends in its time. */
export function renewMeanwhile<Context extends StepContext>(run: Run<Context>): () => Promise<void> {
  const { records, leaseMs, longestStepMs = 60_000 } = run.options;
  const startedMs = performance.now();
  let renewal: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    if (performance.now() - startedMs > longestStepMs) clearInterval(timer);
    else renewal = records.renew(run.lease, { leaseMs }).catch(() => undefined);
  }, leaseMs / 3);
  return async () => {
    clearInterval(timer);
    await renewal;
  };
}
