import * as v from 'valibot';
import type { FunctionService } from '#shared/sandbox/manifests.ts';

// The only shape our patches of Services have: something more of each list.
const added = <const Path extends string, Value extends v.GenericSchema>(path: Path, value: Value) =>
  v.strictObject({ op: v.literal('add'), path: v.literal(`/spec/template/spec/${path}/-`), value });
const operation = v.union([
  added('containers/0/env', v.strictObject({ name: v.string(), value: v.string() })),
  added(
    'containers/0/volumeMounts',
    v.strictObject({ name: v.string(), mountPath: v.string(), readOnly: v.optional(v.boolean()) }),
  ),
  added('volumes', v.looseObject({ name: v.string() })),
]);
export const servicePatchSchema = v.array(operation);

export const componentSchema = v.strictObject({
  apiVersion: v.literal('kustomize.config.k8s.io/v1alpha1'),
  kind: v.literal('Component'),
  resources: v.optional(v.array(v.string()), []),
  patches: v.array(
    v.strictObject({
      path: v.string(),
      target: v.optional(
        v.strictObject({
          group: v.literal('serving.knative.dev'),
          kind: v.literal('Service'),
          name: v.optional(v.string()),
        }),
      ),
    }),
  ),
});

/** A folder of `knative/components`, as it was read. */
export type Component = {
  name: string;
  kustomization: v.InferOutput<typeof componentSchema>;
  /** Its other files. */
  files: readonly string[];
  /** Operations of the patches of Services, by file. */
  servicePatches: Readonly<Record<string, v.InferOutput<typeof servicePatchSchema>>>;
  /** Settings of its patch of the ConfigMap that all functions read. */
  settings: readonly string[];
};

/** Everything that is wrong with a component, a line each. Pure. */
export function componentMistakes(
  component: Component,
  facts: { services: readonly Pick<FunctionService, 'name'>[]; knownSettings: ReadonlySet<string> },
): string[] {
  const { kustomization, files, servicePatches } = component;
  const listed = [...kustomization.resources, ...kustomization.patches.map(({ path }) => path)];
  const settings = [...component.settings, ...Object.values(servicePatches).flat().flatMap(settingOf)];
  return [
    ...files.filter((file) => !listed.includes(file)).map((file) => `does not list ${file}`),
    ...listed.filter((file) => !files.includes(file)).map((file) => `lists ${file}: no such file`),
    ...kustomization.patches.flatMap(({ target }) => targetMistakes(target?.name, facts.services)),
    ...settings.filter((name) => !facts.knownSettings.has(name)).map((name) => `sets ${name}, which nobody reads`),
    ...Object.values(servicePatches).flatMap(mountMistakes),
  ].map((mistake) => `Component ${component.name} ${mistake}.`);
}

type Operation = v.InferOutput<typeof operation>;

function settingOf({ value }: Operation): string[] {
  return 'value' in value && typeof value.value === 'string' ? [value.name] : [];
}

/** Names are regular expressions, of the whole name. */
function targetMistakes(pattern: string | undefined, services: readonly { name: string }[]): string[] {
  const names = pattern?.split('|') ?? [];
  return names
    .filter((name) => !services.some((service) => service.name === name))
    .map((name) => `changes ${name}, which is no Service of ours`);
}

/** What a setting names lies in a volume that is mounted, and what is mounted is there. */
function mountMistakes(operations: readonly Operation[]): string[] {
  const volumes = operations.flatMap(({ path, value }) => (path.endsWith('/volumes/-') ? [value.name] : []));
  const mounts = operations.flatMap(({ value }) =>
    'mountPath' in value && typeof value.mountPath === 'string' ? [{ name: value.name, path: value.mountPath }] : [],
  );
  const isMounted = (path: string) => mounts.some((mount) => path === mount.path || path.startsWith(`${mount.path}/`));
  return [
    ...mounts.filter(({ name }) => !volumes.includes(name)).map(({ name }) => `mounts ${name} and has no such volume`),
    ...operations.flatMap(({ value }) =>
      'value' in value && typeof value.value === 'string' && value.value.startsWith('/') && !isMounted(value.value)
        ? [`sets ${value.name} to ${value.value}, which it does not mount`]
        : [],
    ),
  ];
}
