import { Failure } from '#shared/domain/failure.ts';
import type { DatabaseServer, Instance } from '#shared/domain/instance/instance.ts';
import { namesOf } from '#shared/domain/instance/names.ts';
import { odooConf } from '#shared/domain/instance/odoo-conf.ts';
import type { ClusterPart, Credentials, WantedRuntime } from '#shared/domain/instance/ports.ts';
import type { Target, Wanted } from './apply.ts';
import { type Kind, kinds } from './kinds.ts';
import { masterPasswordHash } from './master-password.ts';
import { configurationHash, configurationSecret } from './resources/configuration-secret.ts';
import { deployments } from './resources/deployment.ts';
import { ingresses } from './resources/ingress.ts';
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
  if (part === 'ingress') return [names.object, names.domainsIngress];
  return part === 'deployment' ? [names.object, names.cronDeployment] : [names.object];
}

/** The objects of a part, as the row wants them. */
export function targetsOf(
  instance: Instance,
  part: ClusterPart,
  { settings, wanted }: { settings: ClusterSettings; wanted: WantedRuntime },
): Target<Wanted>[] {
  const { databaseServer, credentials } = wanted;
  const kind = kindOfPart[part];
  if (part === 'ingress' && instance.host === '') {
    // A rule without a host would be every host's.
    throw new Failure('internal', `Instance ${instance.id} has no host: it has to take one before its Ingress.`);
  }
  if (part !== 'configuration' && part !== 'deployment') {
    const basis = { settings, databaseServer, configurationHash: '' };
    return objectsOf(instance, part, basis).map((object) => ({ kind, wanted: object }));
  }
  if (credentials === undefined) {
    throw new Failure('internal', `The ${part} of instance ${instance.id} was asked for without its passwords.`);
  }
  const odooConf = confOf(instance, { settings, databaseServer, credentials });
  if (part === 'configuration') {
    const formHash = configurationFormHash(instance, { settings, databaseServer });
    return [{ kind, wanted: configurationSecret(instance.id, settings.namespace, { odooConf, formHash }) }];
  }
  const basis = { settings, databaseServer, configurationHash: configurationHash(odooConf) };
  return objectsOf(instance, part, basis).map((object) => ({ kind, wanted: object }));
}

/** All but the configuration: what the row says without anything secret. */
export function objectsOf(
  instance: Instance,
  part: Exclude<ClusterPart, 'configuration'>,
  basis: { settings: ClusterSettings; databaseServer: DatabaseServer; configurationHash: string },
): Wanted[] {
  const { settings } = basis;
  switch (part) {
    case 'volume':
      return [volumeClaim(instance, settings)];
    case 'network-policy':
      return [networkPolicy(instance, basis)];
    case 'deployment':
      return deployments(instance, basis);
    case 'service':
      return [service(instance, settings.namespace)];
    case 'ingress':
      return ingresses(instance, settings);
  }
}

/** Hash of odoo.conf without its passwords: whether a Secret was written for this row can be told by who knows none. */
export function configurationFormHash(
  instance: Instance,
  options: { settings: ClusterSettings; databaseServer: DatabaseServer },
): string {
  return configurationHash(confOf(instance, { ...options, credentials: undefined }));
}

function confOf(
  instance: Instance,
  options: { settings: ClusterSettings; databaseServer: DatabaseServer; credentials: Credentials | undefined },
): string {
  const { settings, databaseServer, credentials } = options;
  return odooConf({
    instance,
    databaseServer,
    databasePassword: credentials?.databasePassword ?? '',
    masterPasswordHash: credentials === undefined ? '' : masterPasswordHash(credentials.masterPassword, instance.id),
    ...(settings.addonsPath ? { addonsPath: settings.addonsPath } : {}),
    ...(settings.mailRelay ? { mailRelay: settings.mailRelay } : {}),
  });
}
