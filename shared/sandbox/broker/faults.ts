import { createHash } from 'node:crypto';

/** Mishaps on top of a broker's manners. All chances are per Trigger that an event matches. */
export type Faults = {
  /** This share of deliveries is lost silently before its first attempt. */
  dropPercent?: number;
  /** Only events of these types are dropped; without it, of any type. */
  dropTypes?: readonly string[];
  /** This share is delivered twice. */
  duplicatePercent?: number;
  /** Each delivery waits up to this long, so that later events overtake earlier ones. */
  delayMs?: number;
  /** The seed. */
  random: number;
};

/**
 * The delays in milliseconds of the copies of one event that one Trigger gets; none when it is dropped. They depend only on the seed, the event's source and
 * id, the Trigger and `sending` (how often this event was sent before), so that a run can be repeated whatever the order.
 */
export function copiesUnder(
  faults: Faults,
  event: { source: string; id: string; type: string },
  options: { trigger: string; sending: number },
): number[] {
  const draw = (what: string): number =>
    drawn(`${faults.random}|${what}|${event.source}|${event.id}|${options.trigger}|${options.sending}`);
  const mayDrop = faults.dropTypes === undefined || faults.dropTypes.includes(event.type);
  if (mayDrop && draw('drop') * 100 < (faults.dropPercent ?? 0)) return [];
  const copies = draw('duplicate') * 100 < (faults.duplicatePercent ?? 0) ? 2 : 1;
  return Array.from({ length: copies }, (_, copy) => Math.round(draw(`delay ${copy}`) * (faults.delayMs ?? 0)));
}

/** A number in [0, 1) made from text. */
function drawn(text: string): number {
  return createHash('sha256').update(text).digest().readUIntBE(0, 6) / 2 ** 48;
}
