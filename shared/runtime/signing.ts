import { hashOfData } from '#shared/adapters/eventing/canonical-json.ts';
import { signEvent } from '#shared/adapters/eventing/signature.ts';
import { readPrivateKey } from '#shared/adapters/eventing/signature-keys.ts';
import type { OutgoingEvent } from '#shared/domain/event/outgoing.ts';
import { Failure } from '#shared/domain/failure.ts';

/** The event as it goes out. */
export type Sign = (event: OutgoingEvent) => Promise<OutgoingEvent>;

/**
 * Signs events of our own source with our own key; without a key, and for events of others, they stay as they are. Only
 * for what this process has to say itself: an event that was received and is sent again must not come by here, or one
 * that was refused for want of a signature would get ours on its way.
 * @throws Failure `misconfigured` when the key cannot be read. It never quotes the key.
 */
export function signAs(eventSource: string, privateKey: string | undefined): Sign {
  if (privateKey === undefined) return async (event) => event;
  const key = readSigningKey(privateKey);
  return async (event) => {
    if (event.source !== eventSource) return event;
    const { id, source, type } = event;
    const signature = await signEvent({ id, source, type, dataHash: hashOfData(asSent(event.data)) }, key);
    return { ...event, extensions: { ...event.extensions, signature } };
  };
}

function readSigningKey(privateKey: string): ReturnType<typeof readPrivateKey> {
  try {
    return readPrivateKey(privateKey);
  } catch (cause) {
    const text = 'EVENT_SIGNING_KEY_FILE holds no usable key: write a PKCS8 PEM or a private JWK, Ed25519 or P-256.';
    throw new Failure('misconfigured', text, { cause });
  }
}

/** What the receiver will read: dates are text by then, members without a value are gone. */
function asSent(data: unknown): unknown {
  return JSON.parse(JSON.stringify(data ?? null)) as unknown;
}
