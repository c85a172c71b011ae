import type { Dashboard } from './dashboard-model.ts';

const ofApi = '{function="api"}';

/** What people, other services, mail servers and customers' endpoints see. */
export const edge: Dashboard = {
  uid: 'odoo-fleet-edge',
  title: 'Odoo Fleet: edge',
  rows: [
    {
      title: 'API',
      panels: [
        {
          title: 'Requests by route',
          about: 'By the operationId of its OpenAPI document.',
          unit: 'reqps',
          queries: [
            {
              expr: `sum by (type) (rate(fleet_request_duration_seconds_count${ofApi}[$__rate_interval]))`,
              legend: '{{type}}',
            },
          ],
        },
        {
          title: 'Requests by status and outcome',
          about: '`repeated`: an Idempotency-Key came again and was answered as the first time; `unchanged`: 304.',
          unit: 'reqps',
          queries: [
            {
              expr: `sum by (status, outcome) (rate(fleet_request_duration_seconds_count${ofApi}[$__rate_interval]))`,
              legend: '{{status}} {{outcome}}',
            },
          ],
        },
        {
          title: 'Answers 5xx by route',
          unit: 'reqps',
          queries: [
            {
              expr: 'sum by (type, status) (rate(fleet_request_duration_seconds_count{function="api",status=~"5.."}[$__rate_interval]))',
              legend: '{{type}} {{status}}',
            },
          ],
        },
        {
          title: 'Duration by route, 95 of 100',
          unit: 's',
          queries: [
            {
              expr: `histogram_quantile(0.95, sum by (type, le) (rate(fleet_request_duration_seconds_bucket${ofApi}[$__rate_interval])))`,
              legend: '{{type}}',
            },
          ],
        },
        {
          title: 'Asked too often, and repeated',
          unit: 'reqps',
          queries: [
            {
              expr: 'sum(rate(fleet_request_duration_seconds_count{function="api",status="429"}[$__rate_interval]))',
              legend: 'limited',
            },
            {
              expr: 'sum(rate(fleet_request_duration_seconds_count{function="api",outcome="repeated"}[$__rate_interval]))',
              legend: 'repeated under an Idempotency-Key',
            },
          ],
        },
        {
          title: 'Reads of instances through the cache',
          about: 'X-Cache says HIT for hit and local.',
          unit: 'reqps',
          queries: [
            {
              expr: 'sum by (result) (rate(fleet_cache_reads_total{function="api",kind="instance"}[$__rate_interval]))',
              legend: '{{result}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Mails',
      panels: [
        {
          title: 'Mails that ended within a day',
          queries: [{ expr: 'max by (state) (fleet_mails_ended)', legend: '{{state}}' }],
        },
        {
          title: 'Mails that wait, and addresses that bounced',
          queries: [
            { expr: 'max(fleet_mails_queued)', legend: 'mails' },
            { expr: 'max(fleet_bounced_addresses)', legend: 'bounced addresses' },
          ],
        },
        {
          title: 'Age of the oldest mail',
          unit: 's',
          redFrom: 7_200,
          queries: [
            { expr: 'max(fleet_mails_oldest_queued_age_seconds)', legend: 'age' },
            { expr: 'max(fleet_mails_longest_overdue_seconds)', legend: 'past its time' },
          ],
        },
      ],
    },
    {
      title: "Customers' endpoints",
      panels: [
        {
          title: 'Endpoints',
          queries: [{ expr: 'max by (state, reason) (fleet_webhook_endpoints)', legend: '{{state}} {{reason}}' }],
        },
        {
          title: 'Deliveries of four days',
          queries: [
            { expr: 'max by (state) (fleet_webhook_deliveries)', legend: '{{state}}' },
            { expr: 'max(fleet_webhook_deliveries_waiting)', legend: 'waiting' },
          ],
        },
        {
          title: 'Age of the oldest delivery that waits',
          about: 'Up to three days where an endpoint fails; such endpoints do not count as past their time.',
          unit: 's',
          queries: [
            { expr: 'max(fleet_webhook_deliveries_oldest_age_seconds)', legend: 'age' },
            { expr: 'max(fleet_webhook_deliveries_longest_overdue_seconds)', legend: 'past its time' },
          ],
        },
        {
          title: 'Tries by outcome',
          unit: 'reqps',
          queries: [
            {
              expr: 'sum by (outcome) (rate(fleet_webhook_attempt_duration_seconds_count[$__rate_interval]))',
              legend: '{{outcome}}',
            },
          ],
        },
        {
          title: 'Time of receivers, 95 of 100',
          unit: 's',
          queries: [
            {
              expr: 'histogram_quantile(0.95, sum by (outcome, le) (rate(fleet_webhook_attempt_duration_seconds_bucket[$__rate_interval])))',
              legend: '{{outcome}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Kill Bill',
      panels: [
        {
          title: 'Accounts to be read, and that could not be',
          queries: [
            { expr: 'max(fleet_kill_bill_looks_due)', legend: 'due' },
            { expr: 'max(fleet_kill_bill_accounts_failing)', legend: 'failing' },
          ],
        },
        {
          title: 'Delay of the look that waits longest',
          unit: 's',
          redFrom: 600,
          queries: [{ expr: 'max(fleet_kill_bill_looks_oldest_delay_seconds)', legend: 'delay' }],
        },
        {
          title: 'Time since the last account was read',
          about: 'Accounts are read when something happened to them, so hours are nothing unusual.',
          kind: 'number',
          unit: 's',
          queries: [{ expr: 'time() - max(fleet_kill_bill_last_look_timestamp_seconds)' }],
        },
        {
          title: 'Notifications by outcome',
          unit: 'reqps',
          queries: [
            {
              expr: 'sum by (type, outcome) (rate(fleet_request_duration_seconds_count{function="billing-webhook"}[$__rate_interval]))',
              legend: '{{type}} {{outcome}}',
            },
          ],
        },
      ],
    },
  ],
};
