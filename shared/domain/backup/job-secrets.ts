import { hkdfSync } from 'node:crypto';

/**
 * What one Job needs besides the keys of its backup. Both follow from the dump's key, so that whoever goes on with the
 * operation has the same ones, and no record or Secret must be read to know them.
 */
export type JobSecrets = {
  /** Of the role the Job logs in with: printable ASCII. */
  password: string;
  /** What the Job signs its results with: 32 bytes as base64. */
  resultKey: string;
  /** Of Odoo's superuser where Odoo is started on what was restored: printable ASCII. */
  odooPassword: string;
};

/** Other ones for each Job: an operation's rounds are told apart. */
export function jobSecrets(dumpKey: Uint8Array, job: { operationId: string; round: number }): JobSecrets {
  const derive = (what: string, bytes: number) =>
    Buffer.from(hkdfSync('sha256', dumpKey, '', `odoo-fleet ${what} ${job.operationId} ${job.round}`, bytes));
  return {
    password: derive('password of a job', 24).toString('base64url'),
    resultKey: derive('result of a job', 32).toString('base64'),
    odooPassword: derive('password of odoo', 24).toString('base64url'),
  };
}
