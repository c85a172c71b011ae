import { arrayAt, isObject, isSame, objectAt, stringAt } from './json.ts';
import type { KubernetesObject } from './objects.ts';
import type { Cause } from './status.ts';
import { invalidValue, requiredValue } from './value-problems.ts';

/** A Job's end is checked by the real server since 1.31: the deciding condition comes before the final one. */
export function jobStatusProblems(job: KubernetesObject, previous: KubernetesObject): Cause[] {
  const status = objectAt(job, 'status') ?? {};
  if (isSame(status, objectAt(previous, 'status'))) return [];
  const isTrue = (type: string) =>
    arrayAt(status, 'conditions').some((it) => isObject(it) && it['type'] === type && it['status'] === 'True');
  const causes: Cause[] = [];
  const isComplete = isTrue('Complete');
  const isFinished = isComplete || isTrue('Failed');
  if (isComplete && !stringAt(status, 'completionTime')) {
    causes.push(requiredValue('status.completionTime', 'completionTime is required for Complete jobs'));
  }
  if (isComplete && !isTrue('SuccessCriteriaMet')) {
    causes.push(missingCondition('cannot set Complete=True condition without the SuccessCriteriaMet=true condition'));
  }
  if (isTrue('Failed') && !isTrue('FailureTarget')) {
    causes.push(missingCondition('cannot set Failed=True condition without the FailureTarget=true condition'));
  }
  if (isFinished && !stringAt(status, 'startTime')) {
    causes.push(requiredValue('status.startTime', 'startTime is required for finished job'));
  }
  if (isFinished && Number(status['active'] ?? 0) > 0) {
    causes.push(invalidValue('status.active', status['active'] ?? 0, 'active>0 is invalid for finished job'));
  }
  return causes;
}

function missingCondition(why: string): Cause {
  return { reason: 'FieldValueInvalid', message: `Invalid value: ${why}`, field: 'status.conditions' };
}
