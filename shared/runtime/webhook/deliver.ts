import type { Database } from '#shared/adapters/postgres/database.ts';
import type { HeldDelivery } from '#shared/adapters/postgres/webhook-deliveries.ts';
import { recordAttempt } from '#shared/adapters/postgres/webhook-results.ts';
import type { WebhookSender } from '#shared/adapters/webhook/send.ts';
import { signedHeaders } from '#shared/adapters/webhook/sign.ts';
import { asFailure, Failure } from '#shared/domain/failure.ts';
import { type AttemptResult, type AttemptVerdict, judgeAttempt } from '#shared/domain/webhook/retry.ts';
import type { SecretWrapper } from '#shared/domain/webhook/secret.ts';

export type Delivering = {
  database: Database;
  sender: Pick<WebhookSender, 'send'>;
  secrets: Pick<SecretWrapper, 'unwrap'>;
  eventSource: string;
  onTrouble: (what: string, error: unknown) => void;
  /** For the numbers: a try that has ended. */
  onAttempt?: (attempt: { outcome: AttemptVerdict['is']; seconds: number }) => void;
};

/** What became of deliveries. */
export type DeliveryCounts = { taken: number; failed: number; disabled: number };

/** Tries each delivery once, all at the same time; one is over within the sender's deadline. Never throws: what is not recorded is tried again when its lease ends. */
export async function deliver(deliveries: readonly HeldDelivery[], parts: Delivering): Promise<DeliveryCounts> {
  const counts: DeliveryCounts = { taken: 0, failed: 0, disabled: 0 };
  await Promise.all(
    deliveries.map(async (delivery) => {
      try {
        const { result, outcome } = await deliverOne(delivery, parts);
        counts[result.error === null ? 'taken' : 'failed'] += 1;
        if (outcome === 'disabled') counts.disabled += 1;
      } catch (error) {
        counts.failed += 1;
        parts.onTrouble(`delivery ${delivery.id}`, asFailure(error));
      }
    }),
  );
  return counts;
}

async function deliverOne(
  delivery: HeldDelivery,
  { database, sender, secrets, eventSource, onAttempt }: Delivering,
): Promise<{ result: AttemptResult; outcome: string }> {
  const { eventId, endpointId, body, url, attempt } = delivery;
  // unsigned, it could be anybody's
  if (delivery.secrets.length === 0)
    throw new Failure('not-found', 'The webhook endpoint has no secret: it was deleted.');
  const keys = await Promise.all(delivery.secrets.map((wrapped) => secrets.unwrap(wrapped, endpointId)));
  const headers = signedHeaders({ id: eventId, at: new Date(), body, secrets: keys });
  const began = performance.now();
  const result = await sender.send({ url, headers, body });
  const milliseconds = performance.now() - began;
  const verdict = judgeAttempt(result, { attempt, random: Math.random() });
  onAttempt?.({ outcome: verdict.is, seconds: milliseconds / 1_000 });
  const outcome = await recordAttempt(
    database,
    delivery,
    { status: result.status, error: result.error, milliseconds, verdict },
    { eventSource },
  );
  return { result, outcome };
}
