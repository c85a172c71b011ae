import { kubeletUser } from './node-certificates.ts';
import { addresses } from './places.ts';

const rbac = 'rbac.authorization.k8s.io';

const corefile = `.:53 {
  errors
  health
  ready
  kubernetes cluster.local in-addr.arpa {
    ttl 5
  }
  cache 5
}
`;

/** What a bare API server lacks: the way to the kubelet's logs, and names. There is no forwarding: pods resolve the cluster only. */
export function addonObjects(options: { corednsImage: string }): object[] {
  const kubeSystem = (name: string) => ({ name, namespace: 'kube-system' });
  const named = { app: 'coredns' };
  return [
    binding('fleet-apiserver-to-kubelet', 'system:kubelet-api-admin', {
      apiGroup: rbac,
      kind: 'User',
      name: kubeletUser(),
    }),
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: kubeSystem('coredns') },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRole',
      metadata: { name: 'fleet-coredns' },
      rules: [
        { apiGroups: [''], resources: ['services', 'pods', 'namespaces'], verbs: ['list', 'watch'] },
        { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] },
      ],
    },
    binding('fleet-coredns', 'fleet-coredns', { kind: 'ServiceAccount', ...kubeSystem('coredns') }),
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: kubeSystem('coredns'), data: { Corefile: corefile } },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: kubeSystem('kube-dns'),
      spec: {
        clusterIP: addresses.dns,
        selector: named,
        ports: [
          { name: 'dns', port: 53, protocol: 'UDP' },
          { name: 'dns-tcp', port: 53, protocol: 'TCP' },
        ],
      },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: kubeSystem('coredns'),
      spec: {
        selector: { matchLabels: named },
        template: { metadata: { labels: named }, spec: corednsPod(options.corednsImage) },
      },
    },
  ];
}

function corednsPod(image: string): object {
  return {
    serviceAccountName: 'coredns',
    dnsPolicy: 'Default',
    containers: [
      {
        name: 'coredns',
        image,
        imagePullPolicy: 'Never',
        args: ['-conf', '/etc/coredns/Corefile'],
        readinessProbe: { httpGet: { path: '/ready', port: 8181 }, periodSeconds: 1 },
        // root for port 53 only
        securityContext: {
          runAsUser: 0,
          readOnlyRootFilesystem: true,
          allowPrivilegeEscalation: false,
          capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE'] },
        },
        volumeMounts: [{ name: 'configuration', mountPath: '/etc/coredns' }],
      },
    ],
    volumes: [{ name: 'configuration', configMap: { name: 'coredns' } }],
  };
}

/** A ClusterRole given to one subject. */
export function binding(name: string, role: string, subject: object): object {
  return {
    apiVersion: `${rbac}/v1`,
    kind: 'ClusterRoleBinding',
    metadata: { name },
    roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: role },
    subjects: [subject],
  };
}
