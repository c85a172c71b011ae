import type { KubernetesObject, Resource } from '../kubernetes-client.ts';

/** The parts of Ingress and Service that the proxies read. */
export type IngressBackend = { service?: { name: string; port?: { number?: number; name?: string } } };
type IngressPath = { path?: string; pathType: string; backend: IngressBackend };
export type Ingress = KubernetesObject & {
  spec: {
    defaultBackend?: IngressBackend;
    rules?: { host?: string; http?: { paths: IngressPath[] } }[];
  };
};

export type ServicePort = { name?: string; port: number; targetPort?: number | string };
export type Service = KubernetesObject & {
  spec: { selector?: Record<string, string>; ports?: ServicePort[]; publishNotReadyAddresses?: boolean };
};

export const ingresses: Resource<Ingress> = { groupVersion: 'apis/networking.k8s.io/v1', plural: 'ingresses' };
export const services: Resource<Service> = { groupVersion: 'api/v1', plural: 'services' };
