import type { Dashboard } from './dashboard-model.ts';
import { edge } from './edge-dashboard.ts';
import { functions } from './functions-dashboard.ts';

// The fleet's own numbers are told by each process of reconcile that gets ticks, so they are joined by max, never by sum.

const fleet: Dashboard = {
  uid: 'odoo-fleet',
  title: 'Odoo Fleet',
  rows: [
    {
      title: 'What customers see',
      panels: [
        {
          title: 'Instances by status',
          queries: [{ expr: 'max by (status) (fleet_instances)', legend: '{{status}}' }],
        },
        {
          title: 'Instances in error or missing',
          kind: 'number',
          redFrom: 1,
          queries: [{ expr: 'sum(max by (status) (fleet_instances{status=~"error|missing"})) or vector(0)' }],
        },
        {
          title: 'Drift by kind',
          about: 'What is not as the records want it.',
          queries: [{ expr: 'max by (kind, severity) (fleet_findings)', legend: '{{kind}} ({{severity}})' }],
        },
      ],
    },
    {
      title: 'What waits',
      panels: [
        {
          title: 'Unfinished operations',
          queries: [{ expr: 'max by (kind, state) (fleet_operations)', legend: '{{kind}} {{state}}' }],
        },
        {
          title: 'Age of the oldest operation',
          unit: 's',
          queries: [
            { expr: 'max by (kind, state) (fleet_operations_oldest_age_seconds)', legend: '{{kind}} {{state}}' },
            { expr: 'max by (kind) (fleet_operations_longest_overdue_seconds)', legend: '{{kind}} past its deadline' },
          ],
        },
        {
          title: 'Operations past their deadline',
          kind: 'number',
          redFrom: 1,
          queries: [{ expr: 'sum(max by (kind) (fleet_operations_overdue)) or vector(0)' }],
        },
        {
          title: 'Outbox',
          queries: [{ expr: 'max(fleet_outbox_unpublished_events)', legend: 'events not published' }],
        },
        {
          title: 'Age of the oldest event in the outbox',
          unit: 's',
          redFrom: 60,
          queries: [{ expr: 'max(fleet_outbox_oldest_unpublished_age_seconds)', legend: 'age' }],
        },
        {
          title: 'Dead events',
          about: 'Transient ones go back by themselves. The others, and those given up, wait for a person.',
          queries: [{ expr: 'max by (class, state) (fleet_dead_events)', legend: '{{class}} {{state}}' }],
        },
      ],
    },
    {
      title: 'Reconcile and room',
      panels: [
        {
          title: 'Time since the last tick',
          kind: 'number',
          unit: 's',
          redFrom: 120,
          queries: [{ expr: 'time() - max(fleet_tick_last_end_timestamp_seconds)' }],
        },
        {
          title: 'Shards',
          queries: [
            { expr: 'max(fleet_reconcile_shards_overdue)', legend: 'overdue' },
            { expr: 'max(fleet_reconcile_shards_blind)', legend: 'compared without a place' },
          ],
        },
        {
          title: 'Delay of the shard that waits longest',
          unit: 's',
          queries: [{ expr: 'max(fleet_reconcile_oldest_delay_seconds)', legend: 'delay' }],
        },
        {
          title: 'Parts of ticks that failed',
          queries: [{ expr: 'sum(increase(fleet_tick_troubles_total[10m]))', legend: 'in 10 minutes' }],
        },
        {
          title: 'Ready databases',
          queries: [
            { expr: 'max by (server, template) (fleet_warm_databases)', legend: '{{server}} {{template}}' },
            {
              expr: 'max by (server, template) (fleet_warm_databases_wanted)',
              legend: '{{server}} {{template}} wanted',
            },
          ],
        },
        {
          title: 'Places taken on database servers',
          unit: 'percentunit',
          redFrom: 0.9,
          queries: [
            {
              expr: 'max by (server) (fleet_database_server_instances) / max by (server) (fleet_database_server_max_instances)',
              legend: '{{server}}',
            },
          ],
        },
      ],
    },
  ],
};

const backups: Dashboard = {
  uid: 'odoo-fleet-backups',
  title: 'Odoo Fleet: backups',
  rows: [
    {
      title: 'Restorable points',
      panels: [
        {
          title: 'Oldest of the last proven points',
          about: 'Age of the newest backup that was restored and looked at, of the instance where it is oldest.',
          unit: 's',
          redFrom: 777_600,
          queries: [{ expr: 'max(fleet_backup_oldest_proven_age_seconds)' }],
        },
        {
          title: 'Instances at risk',
          queries: [
            { expr: 'max(fleet_backup_instances_overdue)', legend: 'no backup in time' },
            { expr: 'max(fleet_backup_instances_unproven)', legend: 'nothing proven' },
            { expr: 'max(fleet_backup_finals_missing)', legend: 'no proven final one' },
          ],
        },
        {
          title: 'Refuted backups',
          kind: 'number',
          redFrom: 1,
          queries: [{ expr: 'max(fleet_backups_refuted)' }],
        },
        {
          title: 'Age of the newest backup of the platform',
          about: "Of the platform's own database, made every hour.",
          unit: 's',
          redFrom: 10_800,
          queries: [{ expr: 'time() - max(fleet_platform_backup_last_timestamp_seconds)' }],
        },
      ],
    },
    {
      title: 'Work',
      panels: [
        {
          title: 'Backups at work',
          queries: [{ expr: 'max by (kind) (fleet_backups_running)', legend: '{{kind}}' }],
        },
        {
          title: 'Backups that failed within a day',
          queries: [{ expr: 'max by (kind) (fleet_backups_failed)', legend: '{{kind}}' }],
        },
        {
          title: 'Slots taken',
          unit: 'percentunit',
          queries: [
            {
              expr: 'max by (server, purpose) (fleet_backup_slots_used) / max by (server, purpose) (fleet_backup_slots)',
              legend: '{{server}} ({{purpose}})',
            },
          ],
        },
        {
          title: 'Dumps in the store',
          unit: 'bytes',
          queries: [{ expr: 'max(fleet_backups_dump_bytes)' }],
        },
        {
          title: 'Given up and not removed yet',
          kind: 'number',
          queries: [{ expr: 'max(fleet_backups_deleting)' }],
        },
      ],
    },
  ],
};

const operations: Dashboard = {
  uid: 'odoo-fleet-operations',
  title: 'Odoo Fleet: operations',
  rows: [
    {
      title: 'Ends',
      panels: [
        {
          title: 'Operations that ended',
          queries: [
            {
              expr: 'sum by (kind, outcome) (increase(fleet_operation_duration_seconds_count[10m]))',
              legend: '{{kind}} {{outcome}}',
            },
          ],
        },
        {
          title: 'Duration of those that succeeded, 95 of 100',
          unit: 's',
          queries: [
            {
              expr: 'histogram_quantile(0.95, sum by (kind, le) (rate(fleet_operation_duration_seconds_bucket{outcome="succeeded"}[30m])))',
              legend: '{{kind}}',
            },
          ],
        },
        {
          title: 'What billing has given up',
          kind: 'number',
          redFrom: 1,
          queries: [{ expr: 'sum(increase(fleet_billing_requests_given_up_total[24h]))' }],
        },
      ],
    },
    {
      title: 'Steps',
      panels: [
        {
          title: 'Duration of acts, 95 of 100',
          unit: 's',
          queries: [
            {
              expr: 'histogram_quantile(0.95, sum by (kind, step, le) (rate(fleet_step_duration_seconds_bucket{phase="act"}[10m])))',
              legend: '{{kind}} {{step}}',
            },
          ],
        },
        {
          title: 'Retries',
          about: 'Steps that failed and are tried again.',
          queries: [
            {
              expr: 'sum by (kind, step, code) (increase(fleet_step_failures_total{next="try-again"}[10m]))',
              legend: '{{kind}} {{step}} {{code}}',
            },
          ],
        },
        {
          title: 'Failures that ended an operation',
          queries: [
            {
              expr: 'sum by (kind, step, code) (increase(fleet_step_failures_total{next="fail"}[10m]))',
              legend: '{{kind}} {{step}} {{code}}',
            },
          ],
        },
      ],
    },
  ],
};

/** By the name of their file. */
export const dashboards: Readonly<Record<string, Dashboard>> = { fleet, functions, operations, backups, edge };
