import { asFailure } from '#shared/domain/failure.ts';
import type { KillBill } from '#shared/domain/kill-bill/account.ts';
import { type LookParts, lookAt } from '#shared/runtime/kill-bill/look.ts';
import type { Log } from '#shared/runtime/log.ts';

export type RefreshParts = Omit<LookParts, 'killBill' | 'onTrouble'> & {
  /** Undefined: none is configured here. */
  killBill: KillBill | undefined;
  log: Pick<Log, 'warn' | 'error'>;
  flush(): Promise<void>;
};

/**
 * Looks at an account of Kill Bill and says what is new. Never throws for what Kill Bill does: the account stays due, and
 * the tick asks again.
 */
export function refreshHandler({ killBill, log, flush, ...parts }: RefreshParts): (account: string) => Promise<string> {
  return async (account) => {
    if (killBill === undefined) {
      log.warn({ account }, 'an account of Kill Bill is to be looked at, and KILL_BILL_URL is not set');
      return 'not-configured';
    }
    const outcome = await lookAt(
      {
        ...parts,
        killBill,
        onTrouble: (what, failure) => {
          const level = failure.code === 'misconfigured' || failure.code === 'internal' ? 'error' : 'warn';
          log[level]({ what, err: asFailure(failure) }, 'an account could not be read; the tick asks again');
        },
      },
      account,
    );
    // Whatever the outcome: what an earlier look wrote may not have been sent.
    await flush();
    return outcome;
  };
}
