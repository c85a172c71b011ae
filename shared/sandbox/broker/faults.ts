import { createHash } from 'node:crypto';
import type { BrokerEvent } from './event.ts';

/** Mishaps on top of a broker's manners. All chances are per Trigger that an event matches. */
export type Faults = {
  /** This share of deliveries is lost silently before its first attempt. */
  dropPercent?: number;
  /** Only events of these types are dropped; without it, of any type. */
  dropTypes?: readonly string[];
  /** This share is delivered twice. */
  duplicatePercent?: number;
  /** Each delivery waits up to this long. */
  delayMs?: number;
  /** This share is held back by `reorderMs` (1000 unless stated) on top, so that later events overtake them. */
  reorderPercent?: number;
  reorderMs?: number;
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
  return Array.from({ length: copies }, (_, copy) => {
    const isHeldBack = draw(`reorder ${copy}`) * 100 < (faults.reorderPercent ?? 0);
    return Math.round(draw(`delay ${copy}`) * (faults.delayMs ?? 0)) + (isHeldBack ? (faults.reorderMs ?? 1000) : 0);
  });
}

/** A number in [0, 1) made from text. */
function drawn(text: string): number {
  return createHash('sha256').update(text).digest().readUIntBE(0, 6) / 2 ** 48;
}

export type Copies = {
  plan(event: BrokerEvent, trigger: string): number[];
  setFaults(faults: Faults | undefined): void;
};

/** The delays of the copies to deliver. Remembers how often each event was sent, so that sending again is a new draw. */
export function openCopies(initial: Faults | undefined): Copies {
  const sendings = new Map<string, number>();
  let faults = initial;
  return {
    plan(event, trigger) {
      if (faults === undefined) return [0];
      const { id = '', source = '', type = '' } = event.attributes;
      const key = `${trigger} ${source} ${id}`;
      const sending = sendings.get(key) ?? 0;
      sendings.set(key, sending + 1);
      return copiesUnder(faults, { id, source, type }, { trigger, sending });
    },
    setFaults(next) {
      faults = next;
      sendings.clear();
    },
  };
}
