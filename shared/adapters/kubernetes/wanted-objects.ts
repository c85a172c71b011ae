import { createHash } from 'node:crypto';
import type { Instance } from '#shared/domain/instance/instance.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import { odooConf } from '#shared/domain/instance/odoo-conf.ts';
import type { ClusterPart, WantedRuntime } from '#shared/domain/instance/ports.ts';
import type { Target, Wanted } from './apply.ts';
import { type Kind, kinds } from './kinds.ts';
import { masterPasswordHash } from './master-password.ts';
import { configurationSecret } from './resources/configuration-secret.ts';
import { deployments } from './resources/deployment.ts';
import { ingress } from './resources/ingress.ts';
import { labelsOf } from './resources/labels.ts';
import { networkPolicy } from './resources/network-policy.ts';
import { service } from './resources/service.ts';
import type { ClusterSettings } from './resources/settings.ts';
import { volumeClaim } from './resources/volume-claim.ts';

export const kindOfPart = {
  configuration: kinds.secret,
  volume: kinds.volumeClaim,
  'network-policy': kinds.networkPolicy,
  deployment: kinds.deployment,
  service: kinds.service,
  ingress: kinds.ingress,
} as const satisfies Record<ClusterPart, Kind>;

/** Every place a part may take in any plan. */
export function placesOf(instanceId: string, part: ClusterPart, namespace: string): Target<Wanted>[] {
  return namesOfPart(instanceId, part).map((name) => ({
    kind: kindOfPart[part],
    wanted: { metadata: { name, namespace, labels: labelsOf(instanceId) } },
  }));
}

function namesOfPart(instanceId: string, part: ClusterPart): string[] {
  const names = namesOf(instanceId);
  if (part === 'configuration') return [names.configurationSecret];
  return part === 'deployment' ? [names.object, names.cronDeployment] : [names.object];
}

/** The objects of a part, as the row wants them. */
export function targetsOf(
  instance: Instance,
  part: ClusterPart,
  { settings, wanted }: { settings: ClusterSettings; wanted: WantedRuntime },
): Target<Wanted>[] {
  const kind = kindOfPart[part];
  return objectsOf(instance, part, { settings, wanted }).map((object) => ({ kind, wanted: object }));
}

function objectsOf(
  instance: Instance,
  part: ClusterPart,
  { settings, wanted }: { settings: ClusterSettings; wanted: WantedRuntime },
): Wanted[] {
  switch (part) {
    case 'configuration':
      return [configurationSecret(instance.id, settings.namespace, confOf(instance, { settings, wanted }))];
    case 'volume':
      return [volumeClaim(instance, settings)];
    case 'network-policy':
      return [networkPolicy(instance, { settings, databaseServer: wanted.databaseServer })];
    case 'deployment': {
      const conf = confOf(instance, { settings, wanted });
      const configurationHash = createHash('sha256').update(conf).digest('hex').slice(0, 32);
      return deployments(instance, { settings, configurationHash });
    }
    case 'service':
      return [service(instance, settings.namespace)];
    case 'ingress':
      return [ingress(instance, settings)];
  }
}

function confOf(
  instance: Instance,
  { settings, wanted }: { settings: ClusterSettings; wanted: WantedRuntime },
): string {
  return odooConf({
    instance,
    databaseServer: wanted.databaseServer,
    databasePassword: wanted.credentials.databasePassword,
    masterPasswordHash: masterPasswordHash(wanted.credentials.masterPassword, instance.id),
    ...(settings.addonsPath ? { addonsPath: settings.addonsPath } : {}),
    ...(settings.mailRelay ? { mailRelay: settings.mailRelay } : {}),
  });
}
