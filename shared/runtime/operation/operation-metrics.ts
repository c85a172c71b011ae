import { Counter, Histogram, type Registry } from 'prom-client';
import type { AdvanceOptions } from './run.ts';

// Seconds. Platform steps take milliseconds, a clone seconds; a step may take 20 s.
const stepBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20];
// Seconds. A stop takes seconds, provisioning without a template minutes; deadlines are 10 min and more.
const operationBuckets = [1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600];

/** The numbers of operations of one kind. Steps and failure codes are closed lists. */
export function operationMetrics(registry: Registry, kind: string): Required<OperationWatch> {
  const registers = [registry];
  const steps = new Histogram({
    name: 'fleet_step_duration_seconds',
    help: 'Time one look or act of a step took.',
    labelNames: ['kind', 'step', 'phase'],
    buckets: stepBuckets,
    registers,
  });
  const failures = new Counter({
    name: 'fleet_step_failures_total',
    help: 'Steps that threw, by failure code and what became of it; `try-again` is a retry.',
    labelNames: ['kind', 'step', 'code', 'next'],
    registers,
  });
  const ends = new Histogram({
    name: 'fleet_operation_duration_seconds',
    help: 'Time from the first step of an operation to its end, waits included. `failed` may go on by a retry.',
    labelNames: ['kind', 'outcome'],
    buckets: operationBuckets,
    registers,
  });
  return {
    onStep: ({ name, phase, milliseconds }) => steps.observe({ kind, step: name, phase }, milliseconds / 1_000),
    onTrouble: ({ step, failure, next }) => failures.inc({ kind, step, code: failure.code, next }),
    onEnd: ({ outcome, ageMs }) => ends.observe({ kind, outcome }, ageMs / 1_000),
  };
}

type OperationWatch = Pick<AdvanceOptions, 'onStep' | 'onTrouble' | 'onEnd'>;
