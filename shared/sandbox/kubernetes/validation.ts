import { jobStatusProblems } from './job-validation.ts';
import type { Json, JsonObject } from './json.ts';
import { arrayAt, isObject, isSame, objectAt, stringAt } from './json.ts';
import type { KubernetesObject } from './objects.ts';
import { labelsOf, nameOf } from './objects.ts';
import { podSpecProblems } from './pod-validation.ts';
import type { Resource } from './resources.ts';
import type { Cause } from './status.ts';
import {
  forbiddenValue,
  invalidValue,
  label,
  label1035,
  label1035Message,
  labelMessage,
  patternProblems,
  requiredValue,
  subdomain,
  subdomainMessage,
} from './value-problems.ts';

/** What is wrong with an object, beside its values' types; empty when nothing is. */
export function problemsOf(
  resource: Resource,
  object: KubernetesObject,
  previous: KubernetesObject | undefined,
): Cause[] {
  const checks = byKind[resource.kind];
  return [
    ...nameProblems(resource, nameOf(object)),
    ...labelProblems(object),
    ...(checks ? checks(object, previous) : []),
  ];
}

function nameProblems(resource: Resource, name: string): Cause[] {
  const field = 'metadata.name';
  if (name === '') return [requiredValue(field, 'name or generateName is required')];
  if (resource.kind === 'Service')
    return patternProblems(field, name, { pattern: label1035, message: label1035Message, limit: 63 });
  if (resource.kind === 'Namespace')
    return patternProblems(field, name, { pattern: label, message: labelMessage, limit: 63 });
  return patternProblems(field, name, { pattern: subdomain, message: subdomainMessage, limit: 253 });
}

const labelValuePattern = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/;
const labelValueMessage =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

const labelKeyPattern = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?(([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])$/;
const labelKeyMessage =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

function labelProblems(object: KubernetesObject): Cause[] {
  return Object.entries(labelsOf(object)).flatMap(([key, value]) => {
    const text = typeof value === 'string' ? value : '';
    const causes = patternProblems('metadata.labels', text, {
      pattern: labelValuePattern,
      message: labelValueMessage,
      limit: 63,
    });
    const isKey = labelKeyPattern.test(key);
    return isKey ? causes : [invalidValue('metadata.labels', key, labelKeyMessage), ...causes];
  });
}

type Check = (object: KubernetesObject, previous: KubernetesObject | undefined) => Cause[];

const byKind: Record<string, Check> = {
  Secret: immutableDataProblems,
  ConfigMap: immutableDataProblems,
  Service: serviceProblems,
  PersistentVolumeClaim: claimProblems,
  Pod: podProblems,
  Deployment: deploymentProblems,
  Job: jobProblems,
  Ingress: ingressProblems,
};

function specOf(object: KubernetesObject | undefined): JsonObject {
  return objectAt(object, 'spec') ?? {};
}

/** A change to a field that may not change. */
function immutable(field: string, next: Json | undefined, previous: Json | undefined): Cause[] {
  return isSame(next, previous) ? [] : [invalidValue(field, next ?? null, 'field is immutable')];
}

function immutableDataProblems(object: KubernetesObject, previous: KubernetesObject | undefined): Cause[] {
  const keys = Object.keys(objectAt(object, 'data') ?? {});
  const causes = keys
    .filter((key) => !/^[-._a-zA-Z0-9]{1,253}$/.test(key))
    .map((key) =>
      invalidValue(
        `data[${key}]`,
        key,
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
      ),
    );
  if (previous && object['type'] !== previous['type'])
    causes.push(...immutable('type', object['type'], previous['type']));
  if (previous?.['immutable'] !== true) return causes;
  const fixed = 'field is immutable when `immutable` is set';
  if (object['immutable'] !== true) causes.push(forbiddenValue('immutable', fixed));
  if (!isSame(object['data'], previous['data'])) causes.push(forbiddenValue('data', fixed));
  return causes;
}

function serviceProblems(object: KubernetesObject, previous: KubernetesObject | undefined): Cause[] {
  const spec = specOf(object);
  const isHeadless = spec['clusterIP'] === 'None';
  const ports = arrayAt(spec, 'ports');
  const causes = ports.length === 0 && !isHeadless ? [requiredValue('spec.ports')] : [];
  if (ports.length > 1) {
    for (const [index, port] of ports.entries()) {
      if (isObject(port) && !port['name']) causes.push(requiredValue(`spec.ports[${index}].name`));
    }
  }
  if (previous) {
    const before = specOf(previous);
    if (!isSame(spec['clusterIP'], before['clusterIP'])) {
      causes.push(invalidValue('spec.clusterIPs[0]', arrayAt(spec, 'clusterIPs'), 'may not change once set'));
    }
  }
  return causes;
}

function claimProblems(object: KubernetesObject, previous: KubernetesObject | undefined): Cause[] {
  const spec = specOf(object);
  const request = objectAt(objectAt(spec, 'resources'), 'requests')?.['storage'];
  const causes: Cause[] = [];
  if (arrayAt(spec, 'accessModes').length === 0)
    causes.push(requiredValue('spec.accessModes', 'at least 1 access mode is required'));
  if (request === undefined) causes.push(requiredValue('spec.resources[storage]'));
  if (!previous) return causes;
  const isBound = objectAt(previous, 'status')?.['phase'] === 'Bound';
  const before = specOf(previous);
  const changing = (field: string) =>
    field === 'volumeName' ||
    (field === 'resources' && isBound) ||
    (field === 'storageClassName' && before[field] === undefined);
  const fixedPart = (part: JsonObject) =>
    Object.fromEntries(Object.entries(part).filter(([field]) => !changing(field)));
  const fixed = fixedPart(spec);
  const fixedBefore = fixedPart(before);
  if (!isSame(fixed, fixedBefore)) {
    causes.push(
      forbiddenValue(
        'spec',
        'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims',
      ),
    );
  }
  return causes;
}

function podProblems(object: KubernetesObject, previous: KubernetesObject | undefined): Cause[] {
  const causes = podSpecProblems('spec', specOf(object));
  if (!previous) return causes;
  const changing = [
    'activeDeadlineSeconds',
    'tolerations',
    'terminationGracePeriodSeconds',
    'schedulingGates',
    'nodeName',
  ];
  const fixed = (spec: JsonObject) =>
    Object.fromEntries(
      Object.entries(spec)
        .filter(([field]) => !changing.includes(field))
        .map(([field, value]) => [field, field.endsWith('ontainers') ? withoutImages(value) : value]),
    );
  if (!isSame(fixed(specOf(object)), fixed(specOf(previous)))) {
    causes.push(
      forbiddenValue(
        'spec',
        'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
      ),
    );
  }
  return causes;
}

function withoutImages(containers: Json): Json {
  if (!Array.isArray(containers)) return containers;
  return containers.map((container) => (isObject(container) ? { ...container, image: '' } : container));
}

function deploymentProblems(object: KubernetesObject, previous: KubernetesObject | undefined): Cause[] {
  const spec = specOf(object);
  const selector = objectAt(spec, 'selector');
  const template = objectAt(spec, 'template');
  const causes = selector ? [] : [requiredValue('spec.selector')];
  const labels = objectAt(objectAt(template, 'metadata'), 'labels');
  const wanted = Object.entries(objectAt(selector, 'matchLabels') ?? {});
  if (!selector || wanted.some(([key, value]) => labels?.[key] !== value)) {
    const why = '`selector` does not match template `labels`';
    causes.push(invalidValue('spec.template.metadata.labels', labels ?? null, why));
  }
  causes.push(...podSpecProblems('spec.template.spec', objectAt(template, 'spec') ?? {}));
  const replicas = spec['replicas'];
  if (typeof replicas === 'number' && replicas < 0) {
    causes.push(invalidValue('spec.replicas', replicas, 'must be greater than or equal to 0'));
  }
  const strategy = objectAt(spec, 'strategy');
  if (strategy?.['type'] === 'Recreate' && strategy['rollingUpdate'] !== undefined) {
    causes.push(
      forbiddenValue('spec.strategy.rollingUpdate', "may not be specified when strategy `type` is 'Recreate'"),
    );
  }
  if (previous) causes.push(...immutable('spec.selector', spec['selector'], specOf(previous)['selector']));
  return causes;
}

function jobProblems(object: KubernetesObject, previous: KubernetesObject | undefined): Cause[] {
  const spec = specOf(object);
  const podSpec = objectAt(objectAt(spec, 'template'), 'spec') ?? {};
  const causes = podSpecProblems('spec.template.spec', podSpec);
  const policy = stringAt(podSpec, 'restartPolicy');
  if (policy !== 'Never' && policy !== 'OnFailure') {
    causes.push({
      reason: 'FieldValueRequired',
      message: 'Required value: valid values: "OnFailure", "Never"',
      field: 'spec.template.spec.restartPolicy',
    });
  }
  if (!previous) return causes;
  const before = specOf(previous);
  const fields = ['completions', 'selector', 'template', 'completionMode', 'podFailurePolicy'];
  return [
    ...causes,
    ...jobStatusProblems(object, previous),
    ...fields.flatMap((field) => immutable(`spec.${field}`, spec[field], before[field])),
  ];
}

function ingressProblems(object: KubernetesObject): Cause[] {
  const spec = specOf(object);
  const rules = arrayAt(spec, 'rules');
  if (rules.length === 0 && !objectAt(spec, 'defaultBackend')) {
    return [invalidValue('spec', null, 'either `defaultBackend` or `rules` must be specified')];
  }
  return rules.flatMap((rule, index) => {
    const host = isObject(rule) ? (stringAt(rule, 'host') ?? '') : '';
    const hostName = { pattern: subdomain, message: subdomainMessage, limit: 253 };
    const isPlain = host !== '' && !host.startsWith('*.');
    const causes = isPlain ? patternProblems(`spec.rules[${index}].host`, host, hostName) : [];
    const paths = isObject(rule) ? arrayAt(objectAt(rule, 'http'), 'paths') : [];
    const pathCauses = paths.flatMap((path, at) => {
      const place = `spec.rules[${index}].http.paths[${at}]`;
      return isObject(path) && stringAt(path, 'pathType')
        ? []
        : [requiredValue(`${place}.pathType`, 'pathType must be specified')];
    });
    return [...causes, ...pathCauses];
  });
}
