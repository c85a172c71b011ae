import type { Dashboard } from './dashboard-model.ts';

const perFunction = '{function=~"$function"}';

/** What every function shows of itself. */
export const functions: Dashboard = {
  uid: 'odoo-fleet-functions',
  title: 'Odoo Fleet: functions',
  hasFunctionChoice: true,
  rows: [
    {
      title: 'Rate, errors, duration',
      panels: [
        {
          title: 'Requests by outcome',
          unit: 'reqps',
          queries: [
            {
              expr: `sum by (function, outcome) (rate(fleet_request_duration_seconds_count${perFunction}[$__rate_interval]))`,
              legend: '{{function}} {{outcome}}',
            },
          ],
        },
        {
          title: 'Answers 5xx',
          unit: 'percentunit',
          redFrom: 0.05,
          queries: [
            {
              expr: `sum by (function) (rate(fleet_request_duration_seconds_count{function=~"$function",status=~"5.."}[$__rate_interval])) / sum by (function) (rate(fleet_request_duration_seconds_count${perFunction}[$__rate_interval]))`,
              legend: '{{function}}',
            },
          ],
        },
        {
          title: 'Duration, 50 and 95 of 100',
          unit: 's',
          queries: ['0.5', '0.95'].map((share) => ({
            expr: `histogram_quantile(${share}, sum by (function, le) (rate(fleet_request_duration_seconds_bucket${perFunction}[$__rate_interval])))`,
            legend: `{{function}} ${share}`,
          })),
        },
      ],
    },
    {
      title: 'Pools and cache',
      panels: [
        {
          title: 'Connections in use',
          queries: [
            {
              expr: `sum by (function, pool, server) (fleet_pool_connections{function=~"$function",state="busy"})`,
              legend: '{{function}} {{pool}} {{server}}',
            },
          ],
        },
        {
          title: 'Callers that wait for a connection',
          redFrom: 1,
          queries: [
            {
              expr: `sum by (function, pool, server) (fleet_pool_waiting_requests${perFunction})`,
              legend: '{{function}} {{pool}} {{server}}',
            },
          ],
        },
        {
          title: 'Connections the pods may open to PgBouncer',
          queries: [
            {
              expr: 'sum by (function) (fleet_pool_max_connections{function=~"$function",pool="platform"})',
              legend: '{{function}}',
            },
          ],
        },
        {
          title: 'Reads through the cache',
          unit: 'reqps',
          queries: [
            {
              expr: `sum by (kind, result) (rate(fleet_cache_reads_total${perFunction}[$__rate_interval]))`,
              legend: '{{kind}} {{result}}',
            },
          ],
        },
        {
          title: 'Delay of publishing, 95 of 100',
          unit: 's',
          queries: [
            {
              expr: `histogram_quantile(0.95, sum by (function, le) (rate(fleet_outbox_publish_delay_seconds_bucket${perFunction}[$__rate_interval])))`,
              legend: '{{function}}',
            },
          ],
        },
        {
          title: 'Events the broker did not take',
          unit: 'reqps',
          queries: [
            {
              expr: `sum by (function) (rate(fleet_outbox_publish_failures_total${perFunction}[$__rate_interval]))`,
              legend: '{{function}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Processes',
      panels: [
        {
          title: 'Pods and requests being handled',
          queries: [
            { expr: `count by (function) (fleet_requests_in_flight${perFunction})`, legend: '{{function}} pods' },
            { expr: `sum by (function) (fleet_requests_in_flight${perFunction})`, legend: '{{function}} requests' },
          ],
        },
        {
          title: 'Memory of the largest process',
          unit: 'bytes',
          queries: [
            { expr: `max by (function) (process_resident_memory_bytes${perFunction})`, legend: '{{function}}' },
          ],
        },
        {
          title: 'Event loop lag, 99 of 100',
          unit: 's',
          redFrom: 0.5,
          queries: [
            { expr: `max by (function) (nodejs_eventloop_lag_p99_seconds${perFunction})`, legend: '{{function}}' },
          ],
        },
      ],
    },
  ],
};
