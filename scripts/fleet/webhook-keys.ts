import type { Database } from '#shared/adapters/postgres/database.ts';
import { rewrapWebhookSecrets, webhookKeyUses } from '#shared/adapters/postgres/webhook-key-rotation.ts';
import { Failure } from '#shared/domain/failure.ts';
import type { WebhookKeyRing } from '#shared/runtime/webhook/secrets.ts';
import type { Done } from './screen.ts';

const counted = (count: number, word: string) => `${count} ${word}${count === 1 ? '' : 's'}`;

/**
 * How many secrets of customers' endpoints each key of the ring wraps.
 * @throws Failure `misconfigured` when the ring lacks a key that wraps one: nothing could be signed with it.
 */
export async function webhookKeyStatus(database: Database, ring: Pick<WebhookKeyRing, 'ids'>): Promise<Done> {
  const { current, all } = ring.ids();
  const uses = await webhookKeyUses(database);
  const lost = uses.filter(({ keyId }) => !all.includes(keyId));
  if (lost.length > 0) {
    const count = lost.reduce((sum, use) => sum + use.current + use.previous, 0);
    const text = `The key ring has no key ${lost.map(({ keyId }) => keyId).join(', ')}, which wraps ${counted(count, 'secret')} of endpoints: they cannot be told anything. Put it back into the file that WEBHOOK_KEYS_FILE names, or have these endpoints' secrets rotated.`;
    throw new Failure('misconfigured', text);
  }
  const keys = all.map((keyId) => ({
    ...(uses.find((use) => use.keyId === keyId) ?? { keyId, current: 0, previous: 0 }),
    isCurrent: keyId === current,
  }));
  return { json: { keys }, lines: keys.map(lineOf) };
}

type RingKey = { keyId: string; current: number; previous: number; isCurrent: boolean };

function lineOf({ keyId, current, previous, isCurrent }: RingKey): string {
  const wraps = [
    counted(current, 'secret'),
    ...(previous > 0 ? [`${counted(previous, 'secret')} of before a rotation`] : []),
  ].join(', ');
  if (isCurrent) return `${keyId}  current: wraps ${wraps}`;
  if (current + previous > 0) return `${keyId}  wraps ${wraps}: run "webhook-keys rewrap"`;
  return `${keyId}  not needed any more: it can be taken out of the ring, when the platform's backups from before the rewrap are gone`;
}

/** Wraps what older keys have wrapped by the ring's current one. Not done: some could not be opened, or came meanwhile. */
export async function rewrapWebhookKeys(
  database: Database,
  ring: WebhookKeyRing,
  say: (line: string) => void,
): Promise<Done> {
  const { current } = ring.ids();
  const { rewrapped, closed } = await rewrapWebhookSecrets(database, ring, (progress) =>
    say(`${counted(progress.looked, 'endpoint')} looked at, ${counted(progress.rewrapped, 'secret')} rewrapped`),
  );
  const left = (await webhookKeyUses(database)).filter(({ keyId }) => keyId !== current);
  const again = closed.length === 0 ? ': run it again' : '';
  return {
    json: { current, rewrapped, closed, left },
    lines: [
      `${counted(rewrapped, 'secret')} of endpoints were wrapped anew, by ${current}.`,
      ...closed.map(({ endpoint, which, reason }) =>
        which === 'secret'
          ? `Endpoint ${endpoint} was left as it is: ${reason}`
          : `Endpoint ${endpoint}: its secret of before a rotation was left as it is: ${reason}`,
      ),
      ...left.map((use) => `${use.keyId} still wraps ${counted(use.current + use.previous, 'secret')}${again}.`),
    ],
    isDone: left.length === 0,
  };
}
