import { ringKeyWrapper } from '#shared/domain/backup/key-ring.ts';
import type { SecretRewrapper, SecretWrapper } from '#shared/domain/webhook/secret.ts';
import type { Config } from '../config.ts';
import type { webhooks } from '../edge-rows.ts';
import { keyRingFile } from '../key-ring-file.ts';
import { knownSecrets } from '../known-secrets.ts';

/** The ring of customers' endpoints, for whoever rotates its keys. */
export type WebhookKeyRing = SecretWrapper &
  SecretRewrapper & {
    /** Its keys' ids: the current one, and all. Ids are no secrets. */
    ids(): { current: string; all: string[] };
  };

/** Wraps by the key ring in the file that WEBHOOK_KEYS_FILE names. What is unwrapped is in no line of the log. */
export function openWebhookSecrets(config: Pick<Config<typeof webhooks>, 'webhookKeysFile'>): WebhookKeyRing {
  const ring = keyRingFile('WEBHOOK_KEYS_FILE', config.webhookKeysFile);
  const wrapper = ringKeyWrapper(ring);
  const contextOf = (instanceId: string) => ({ purpose: 'webhook', instanceId }) as const;
  return {
    wrap: (secret, endpointId) => wrapper.wrap(secret, contextOf(endpointId)),
    async unwrap(wrapped, endpointId) {
      const secret = await wrapper.unwrap(wrapped, contextOf(endpointId));
      knownSecrets.addPassing(secret.toString('base64'));
      return secret;
    },
    rewrap: (wrapped, endpointId) => wrapper.rewrap(wrapped, contextOf(endpointId)),
    ids: () => ({ current: ring().current, all: [...ring().keys.keys()].sort() }),
  };
}
