import type { JsonObject } from './json.ts';
import { arrayAt, isObject, objectAt, stringAt } from './json.ts';
import type { Cause } from './status.ts';
import { invalidValue, label, labelMessage, patternProblems, requiredValue } from './value-problems.ts';

const handlers = ['exec', 'httpGet', 'tcpSocket', 'grpc'];

/** What is wrong with a pod's spec at `path`, as far as this product can get it wrong. */
export function podSpecProblems(path: string, spec: JsonObject): Cause[] {
  const containers = arrayAt(spec, 'containers');
  if (containers.length === 0) return [requiredValue(`${path}.containers`)];
  const volumes = arrayAt(spec, 'volumes')
    .filter(isObject)
    .map((volume) => stringAt(volume, 'name') ?? '');
  return ['initContainers', 'containers'].flatMap((list) =>
    arrayAt(spec, list)
      .filter(isObject)
      .flatMap((container, index) => containerProblems(`${path}.${list}[${index}]`, container, volumes)),
  );
}

function containerProblems(at: string, container: JsonObject, volumes: string[]): Cause[] {
  const causes: Cause[] = [];
  const name = stringAt(container, 'name') ?? '';
  if (name === '') causes.push(requiredValue(`${at}.name`));
  else causes.push(...patternProblems(`${at}.name`, name, { pattern: label, message: labelMessage, limit: 63 }));
  if (!stringAt(container, 'image')) causes.push(requiredValue(`${at}.image`));
  const ports = arrayAt(container, 'ports').filter(isObject);
  causes.push(
    ...ports.flatMap((port, index) => portProblems(`${at}.ports[${index}].containerPort`, port['containerPort'])),
  );
  const mounts = arrayAt(container, 'volumeMounts').filter(isObject);
  causes.push(
    ...mounts.flatMap((mount, index) =>
      mountProblems(`${at}.volumeMounts[${index}].name`, stringAt(mount, 'name') ?? '', volumes),
    ),
  );
  for (const field of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
    const probe = objectAt(container, field);
    if (probe && !handlers.some((handler) => objectAt(probe, handler))) {
      causes.push(requiredValue(`${at}.${field}`, 'must specify a handler type'));
    }
  }
  return causes;
}

function portProblems(field: string, port: unknown): Cause[] {
  if (typeof port !== 'number' || port === 0) return [requiredValue(field)];
  return port > 0 && port < 65_536 ? [] : [invalidValue(field, port, 'must be between 1 and 65535, inclusive')];
}

function mountProblems(field: string, name: string, volumes: string[]): Cause[] {
  if (volumes.includes(name)) return [];
  return [{ reason: 'FieldValueNotFound', message: `Not found: ${JSON.stringify(name)}`, field }];
}
