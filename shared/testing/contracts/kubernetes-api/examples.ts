import type { Body } from './cluster.ts';

export function configMap(name: string, data: Body = { key: 'value' }): Body {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data };
}

export function secret(name: string, fields: Body = {}): Body {
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name }, ...fields };
}

const container = { name: 'odoo', image: 'odoo:19' };

export function podTemplate(labels: Body, containers: Body[] = [container]): Body {
  return { metadata: { labels }, spec: { containers } };
}

/** A Deployment of no replicas, so that no other part of a cluster has work with it. */
export function deployment(name: string, spec: Body = {}, containers?: Body[]): Body {
  const labels = { app: name };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, labels },
    spec: { replicas: 0, selector: { matchLabels: labels }, template: podTemplate(labels, containers), ...spec },
  };
}

/** A suspended Job: nobody makes pods of it. */
export function job(name: string, image = 'odoo:19'): Body {
  const spec = { restartPolicy: 'Never', containers: [{ name: 'work', image }] };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name },
    spec: { suspend: true, template: { spec } },
  };
}

export function service(name: string, spec: Body = {}): Body {
  const ports = [{ name: 'http', port: 80, targetPort: 8069 }];
  return { apiVersion: 'v1', kind: 'Service', metadata: { name }, spec: { selector: { app: name }, ports, ...spec } };
}

/** Runs nowhere: it names a node that nobody plays. */
export function pod(name: string, spec: Body = {}): Body {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name } },
    spec: { containers: [container], ...spec },
  };
}

export function ownedBy(owner: { name: string; uid: string; kind?: string }, fields: Body = {}): Body {
  const { name, uid, kind = 'ConfigMap' } = owner;
  const apiVersion = kind === 'Job' ? 'batch/v1' : 'v1';
  return { ownerReferences: [{ apiVersion, kind, name, uid, ...fields }] };
}

export function withMetadata(body: Body, fields: Body): Body {
  return { ...body, metadata: { ...(body['metadata'] as Body), ...fields } };
}
