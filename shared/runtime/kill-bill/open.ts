import { openKillBill } from '#shared/adapters/kill-bill/client.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { Config } from '../config.ts';
import type { killBill } from '../edge-rows.ts';

/** Kill Bill as it is configured; undefined when there is none. @throws Failure `misconfigured` when half of it is. */
export function killBillOf(config: Config<typeof killBill>): ReturnType<typeof openKillBill> | undefined {
  const { killBillUrl: url, killBillUser: user } = config;
  if (url === undefined) return undefined;
  const { killBillPassword: password, killBillApiKey: apiKey, killBillApiSecret: apiSecret } = config;
  if (password === undefined || apiKey === undefined || apiSecret === undefined) {
    const text =
      'KILL_BILL_URL is set: KILL_BILL_PASSWORD_FILE, KILL_BILL_API_KEY_FILE and KILL_BILL_API_SECRET_FILE are needed, too.';
    throw new Failure('misconfigured', text);
  }
  return openKillBill({ url, user, password, apiKey, apiSecret });
}
