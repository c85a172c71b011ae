import type { InstanceContext } from '#shared/domain/instance/context.ts';
import type { Step } from '#shared/domain/operation/step.ts';
import { findDatabase } from '../database/keep-database.ts';
import { takeHost } from '../hosts/hosts.ts';
import { applyPart, type RuntimePorts } from './apply-part.ts';
import { keepVolume } from './keep-volume.ts';

/** Every part of the instance in the cluster as its row wants it; replicas among it. */
export function applyAllParts(ports: RuntimePorts): readonly Step<InstanceContext>[] {
  return [
    applyPart('configuration', ports),
    keepVolume(ports),
    applyPart('network-policy', ports),
    applyPart('deployment', ports),
    applyPart('service', ports),
    applyPart('ingress', ports),
  ];
}

/** The objects of an instance that has its database, and never without it. */
export function bringUp(ports: RuntimePorts): readonly Step<InstanceContext>[] {
  return [findDatabase(ports), takeHost(ports), ...applyAllParts(ports)];
}
