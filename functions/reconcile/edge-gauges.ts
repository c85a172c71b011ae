import type { EdgeNumbers } from '#shared/adapters/postgres/edge-numbers.ts';
import type { FleetGauge } from './gauges.ts';

const plain = (name: string, help: string, of: (edge: EdgeNumbers) => number | null | undefined): FleetGauge => ({
  name,
  help,
  labelNames: [],
  samples: ({ edge }) => {
    const value = of(edge) ?? undefined;
    return value === undefined ? [] : [{ labels: {}, value }];
  },
});

const byState = (
  name: string,
  help: string,
  of: (edge: EdgeNumbers) => Readonly<Record<string, number>> | undefined,
): FleetGauge => ({
  name,
  help,
  labelNames: ['state'],
  samples: ({ edge }) => Object.entries(of(edge) ?? {}).map(([state, value]) => ({ labels: { state }, value })),
});

const mails: readonly FleetGauge[] = [
  plain('fleet_mails_queued', 'Mails that are not sent yet.', ({ mails }) => mails.queued),
  plain(
    'fleet_mails_oldest_queued_age_seconds',
    'Age of the oldest of them; 0 when there is none.',
    ({ mails }) => mails.oldestAge,
  ),
  plain(
    'fleet_mails_longest_overdue_seconds',
    'How long the mail that waits longest might have been tried again; 0 when none is due.',
    ({ mails }) => mails.overdue,
  ),
  byState(
    'fleet_mails_ended',
    'Mails that ended within the last day: sent, failed (refused, or given up after two days) or bounced.',
    ({ mails }) => mails.ended,
  ),
  plain(
    'fleet_bounced_addresses',
    'Addresses that do not exist by the word of a mail server: nothing is sent there until a person clears them.',
    ({ mails }) => mails.bouncedAddresses,
  ),
];

const webhooks: readonly FleetGauge[] = [
  plain(
    'fleet_webhook_deliveries_waiting',
    "Events on their way to customers' endpoints, those that are tried again included.",
    ({ webhooks }) => webhooks.waiting,
  ),
  plain(
    'fleet_webhook_deliveries_oldest_age_seconds',
    'Age of the oldest of them; up to three days where an endpoint fails; 0 when there is none.',
    ({ webhooks }) => webhooks.oldestAge,
  ),
  plain(
    'fleet_webhook_deliveries_longest_overdue_seconds',
    'How long the one that waits longest might have been sent, of endpoints that do not fail; 0 when none is due.',
    ({ webhooks }) => webhooks.overdue,
  ),
  byState(
    'fleet_webhook_deliveries',
    'Those of the last four days that do not wait: succeeded, failed (given up after three days) or held (the endpoint is disabled).',
    ({ webhooks }) => webhooks.deliveries,
  ),
  {
    name: 'fleet_webhook_endpoints',
    help: "Customers' endpoints: enabled, failing (the last try failed), or disabled, and by whom: the customer, its answer 410 (gone), or failures for three days.",
    labelNames: ['state', 'reason'],
    samples: ({ edge }) =>
      (edge.webhooks.endpoints ?? []).map(({ state, reason, count }) => ({ labels: { state, reason }, value: count })),
  },
];

const killBill: readonly FleetGauge[] = [
  plain(
    'fleet_kill_bill_looks_due',
    'Accounts of Kill Bill that are to be read now and that nobody reads.',
    ({ killBill }) => killBill.due,
  ),
  plain(
    'fleet_kill_bill_looks_oldest_delay_seconds',
    'How long the longest waiting of them has been due; 0 when none is. After a failure one is due a minute later at most.',
    ({ killBill }) => killBill.oldestDelay,
  ),
  plain(
    'fleet_kill_bill_accounts_failing',
    'Accounts that could not be read when they were looked at last.',
    ({ killBill }) => killBill.failing,
  ),
  plain(
    'fleet_kill_bill_last_look_timestamp_seconds',
    'When an account was last read, in seconds since 1970; 0: none ever was. Not shown where there are no accounts.',
    ({ killBill }) => killBill.lastLookAt,
  ),
];

/** The numbers of mails, of customers' endpoints and of the billing service. */
export const edgeGauges: readonly FleetGauge[] = [...mails, ...webhooks, ...killBill];
