import type { EventType } from '#events/catalogue.ts';
import type { OutgoingEvent } from '../event/outgoing.ts';
import type { BillingRequestKind } from './requests.ts';

const types = {
  provision: 'dev.odoofleet.instance.provision.requested',
  suspend: 'dev.odoofleet.instance.suspend.requested',
  resume: 'dev.odoofleet.instance.resume.requested',
  terminate: 'dev.odoofleet.instance.terminate.requested',
  undo: 'dev.odoofleet.instance.undo.requested',
} as const satisfies Record<BillingRequestKind, EventType>;

/** The data of a request for an operation on an instance that is there. */
export function requestData(
  kind: Exclude<BillingRequestKind, 'provision'>,
  { instance, sequence, reason }: { instance: string; sequence: number; reason: string },
): object {
  // Terminations and their undoing are held back until the one before has arrived, so they need no order.
  const isOrdered = kind === 'suspend' || kind === 'resume';
  return { instance, reason, ...(isOrdered ? { cause: 'billing', sequence } : {}) };
}

/** The event that asks for an operation; the broker is to keep those of an instance in order where it can. */
export function requestEvent(
  kind: BillingRequestKind,
  data: unknown,
  envelope: { id: string; source: string; instanceId: string; causationId?: string },
): OutgoingEvent {
  const { id, source, instanceId, causationId } = envelope;
  return {
    id,
    type: types[kind],
    source,
    subject: instanceId,
    data,
    extensions: { partitionkey: instanceId, ...(causationId === undefined ? {} : { causationid: causationId }) },
  };
}
