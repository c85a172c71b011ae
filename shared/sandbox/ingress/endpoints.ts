import { isPodFinished, isPodReady, type Pod } from '../kubernetes-node/objects.ts';
import { probePort } from '../kubernetes-node/probe.ts';
import type { Service, ServicePort } from './objects.ts';

export type Endpoint = { address: string; port: number };

/** A Service's port by number or name; the only one if nothing is asked. */
export function servicePort(service: Service, asked: { number?: number; name?: string } = {}): ServicePort | undefined {
  const ports = service.spec.ports ?? [];
  if (asked.name !== undefined) return ports.find(({ name }) => name === asked.name);
  if (asked.number !== undefined) return ports.find(({ port }) => port === asked.number);
  return ports.length === 1 ? ports[0] : undefined;
}

/** Where a Service's traffic may go now: its ready pods that are not being deleted. */
export function readyEndpoints(service: Service, port: ServicePort, pods: readonly Pod[]): Endpoint[] {
  const selector = Object.entries(service.spec.selector ?? {});
  if (selector.length === 0) return [];
  return pods
    .filter((pod) => selector.every(([key, value]) => pod.metadata.labels?.[key] === value))
    .filter((pod) => pod.metadata.deletionTimestamp === undefined && !isPodFinished(pod))
    .filter((pod) => service.spec.publishNotReadyAddresses === true || isPodReady(pod))
    .flatMap((pod) => {
      const address = pod.status?.podIP;
      const number = targetPort(port, pod);
      return address === undefined || number === undefined ? [] : [{ address, port: number }];
    });
}

function targetPort({ port, targetPort: target = port }: ServicePort, pod: Pod): number | undefined {
  const numbers = pod.spec.containers.map((container) => probePort(target, container));
  return numbers.find((number) => Number.isInteger(number));
}
