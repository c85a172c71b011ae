import type {
  V1Container,
  V1EnvVar,
  V1PodSpec,
  V1ResourceRequirements,
  V1Volume,
  V1VolumeMount,
} from '@kubernetes/client-node';
import { odooDataFolder } from '#shared/domain/instance/odoo-conf.ts';
import type { ClusterSettings } from './settings.ts';

/** User and group `odoo` of the Odoo images; numeric, or the kubelet cannot prove that it is not root. */
const odooUser = 101;

export const configurationFolder = '/etc/odoo';
export const configurationFile = `${configurationFolder}/odoo.conf`;
/** The key of odoo.conf in a configuration Secret. */
export const configurationKey = 'odoo.conf';

export const odooArguments = [`--config=${configurationFile}`, `--data-dir=${odooDataFolder}`] as const;

/** Plain variables of a container. */
export function environmentOf(variables: Readonly<Record<string, string>>): V1EnvVar[] {
  return Object.entries(variables).map(([name, value]) => ({ name, value }));
}

/**
 * What every pod among the tenants has: Pod Security's `restricted` profile, no token, no service variables (they would
 * reach Odoo's settings: it reads `ODOO_*` from its environment). It runs as Odoo's own user: what Odoo keeps in its
 * folder is for nobody else to read.
 */
export function restrictedPod(settings: ClusterSettings): Omit<V1PodSpec, 'containers'> {
  return {
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    ...(settings.serviceAccountName ? { serviceAccountName: settings.serviceAccountName } : {}),
    ...(settings.imagePullSecretName ? { imagePullSecrets: [{ name: settings.imagePullSecretName }] } : {}),
    securityContext: {
      runAsNonRoot: true,
      runAsUser: odooUser,
      runAsGroup: odooUser,
      fsGroup: odooUser,
      // A filestore of a million files is not walked at every start.
      fsGroupChangePolicy: 'OnRootMismatch',
      seccompProfile: { type: 'RuntimeDefault' },
    },
  };
}

/** What each container of such a pod has; its root is read-only. */
export function restrictedContainer(
  settings: ClusterSettings,
): Pick<V1Container, 'imagePullPolicy' | 'securityContext'> {
  return {
    ...(settings.imagePullPolicy ? { imagePullPolicy: settings.imagePullPolicy } : {}),
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
  };
}

/** A pod with one Odoo container. */
export function odooPodSpec(options: {
  settings: ClusterSettings;
  container: Pick<
    V1Container,
    'args' | 'command' | 'env' | 'image' | 'livenessProbe' | 'ports' | 'readinessProbe' | 'startupProbe'
  >;
  resources: V1ResourceRequirements;
  configurationSecret: string;
  /** The volume of filestore and sessions. */
  data: Pick<V1Volume, 'emptyDir' | 'persistentVolumeClaim'>;
}): V1PodSpec {
  const { settings } = options;
  const mounts: (V1VolumeMount & { volume: Omit<V1Volume, 'name'> })[] = [
    {
      name: 'configuration',
      mountPath: configurationFolder,
      readOnly: true,
      volume: {
        secret: {
          secretName: options.configurationSecret,
          defaultMode: 0o440,
          items: [{ key: configurationKey, path: configurationKey }],
        },
      },
    },
    { name: 'data', mountPath: odooDataFolder, volume: options.data },
    { name: 'temporary', mountPath: '/tmp', volume: { emptyDir: {} } },
  ];
  return {
    ...restrictedPod(settings),
    containers: [
      {
        name: 'odoo',
        ...options.container,
        ...restrictedContainer(settings),
        resources: options.resources,
        volumeMounts: mounts.map(({ volume: _volume, ...mount }) => mount),
      },
    ],
    volumes: mounts.map(({ name, volume }) => ({ name, ...volume })),
  };
}
