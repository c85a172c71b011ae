import type { VisibleType } from './visible-events.ts';

/** Why an endpoint is sent nothing: the customer's wish, its 410, or failures for days. */
export type DisabledReason = 'customer' | 'gone' | 'failing';

/**
 * `waiting`: to be sent, or being sent; `held`: its endpoint was disabled, a replay sends it; `failed`: given up after three
 * days, a redelivery or a replay sends it.
 */
export type DeliveryState = 'waiting' | 'succeeded' | 'failed' | 'held';

/** Where a customer is told. Secrets are never part of it. */
export type WebhookEndpoint = {
  /** UUID. */
  id: string;
  customerId: string;
  url: string;
  description: string;
  /** Empty: all that customers may see. */
  types: readonly VisibleType[];
  /** null: enabled. */
  disabledReason: DisabledReason | null;
  disabledAt: Date | null;
  /** The first failure since the last success. */
  failingSince: Date | null;
  lastSuccessAt: Date | null;
  /** Until then events are signed with the secret before this one, too. */
  previousSecretUntil: Date | null;
  /** Grows with each change that somebody makes. */
  generation: number;
  createdAt: Date;
};

/** One event on its way to one endpoint. */
export type WebhookDelivery = {
  /** UUID. */
  id: string;
  endpointId: string;
  /** Of the event: the same for every endpoint and every try. */
  eventId: string;
  type: string;
  /** null: of no instance. */
  instanceId: string | null;
  /** Counts the endpoint's deliveries about this instance, from 1 and without gaps: one that is missing is still to come. */
  sequence: number;
  state: DeliveryState;
  /** Tries since it was last asked for. */
  attempts: number;
  /** null: none is to come. */
  nextAttemptAt: Date | null;
  createdAt: Date;
  deliveredAt: Date | null;
};

/** One try, for whoever looks for what is wrong with a receiver. */
export type WebhookAttempt = {
  at: Date;
  /** null: there was no answer. */
  status: number | null;
  /** null: it was taken. */
  error: string | null;
  milliseconds: number;
};

/** What is signed, sent and kept: the same text in every try. `timestamp` is when it happened. */
export function messageBody(message: {
  type: string;
  timestamp: Date;
  instanceId: string | null;
  sequence: number;
  data: Readonly<Record<string, unknown>>;
}): string {
  const { type, timestamp, instanceId, sequence, data } = message;
  return JSON.stringify({ type, timestamp: timestamp.toISOString(), instance: instanceId, sequence, data });
}
