import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { kubeconfigOf } from './node-certificates.ts';
import { addresses, containerdSocket, nodeName, type Places, ports, registry } from './places.ts';

/** What `containerd` finds its plugins by; Debian's package has them here. */
const cniPrograms = '/usr/lib/cni';

/** Writes the configuration files of containerd, the pod network, kubelet and kube-proxy. */
export async function writeConfiguration(places: Places): Promise<void> {
  const file = (name: string) => join(places.configuration, name);
  await put(file('containerd.toml'), containerdToml(places));
  // A pull ends at a closed port of loopback: nothing asks a registry, and nothing looks a name up.
  const closed = 'http://127.0.0.1:1';
  const hosts = `server = "${closed}"\n[host."${closed}"]\n  capabilities = ["pull", "resolve"]\n`;
  await put(file('registries/_default/hosts.toml'), hosts);
  await put(file('cni/10-fleet.conflist'), json(podNetwork(places)));
  await put(file('resolv.conf'), 'options ndots:1\n');
  await put(file('kubelet.json'), json(kubelet(places)));
  await put(file('proxy.json'), json(proxy(places)));
}

/** Only when it differs: kube-proxy ends when its file is written. */
async function put(file: string, text: string): Promise<void> {
  const before = await readFile(file, 'utf8').catch(() => undefined);
  if (before === text) return;
  await mkdir(dirname(file), { recursive: true });
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
}

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

function containerdToml({ imageStore, state, configuration }: Places): string {
  const cri = 'plugins."io.containerd.grpc.v1.cri"';
  return `version = 2
root = ${JSON.stringify(imageStore)}
state = ${JSON.stringify(join(state, 'containerd'))}
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = ${JSON.stringify(containerdSocket)}
[${cri}]
  sandbox_image = "${registry}/pause:1"
  stream_server_address = "127.0.0.1"
  disable_apparmor = true
  # Without CAP_SYS_RESOURCE nobody may lower oom_score_adj; runc would end with "can't get final child's PID from pipe".
  restrict_oom_score_adj = true
  [${cri}.cni]
    bin_dir = "${cniPrograms}"
    conf_dir = ${JSON.stringify(join(configuration, 'cni'))}
  [${cri}.registry]
    config_path = ${JSON.stringify(join(configuration, 'registries'))}
  [${cri}.containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [${cri}.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [${cri}.containerd.runtimes.runc.options]
        SystemdCgroup = false
        BinaryName = "/usr/sbin/runc"
`;
}

function podNetwork({ state }: Places) {
  const { bridge, firstPod, node, podNetwork: subnet } = addresses;
  const addressing = {
    type: 'host-local',
    dataDir: join(state, 'pod-addresses'),
    routes: [{ dst: '0.0.0.0/0' }],
    ranges: [[{ subnet, rangeStart: firstPod, gateway: node }]],
  };
  return {
    cniVersion: '1.0.0',
    name: 'fleet',
    plugins: [
      { type: 'bridge', bridge, isGateway: true, ipMasq: false, hairpinMode: true, ipam: addressing },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  };
}

function kubelet({ certificates, configuration, kubelet: folder, state }: Places) {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: addresses.node,
    port: ports.kubelet,
    readOnlyPort: 0,
    healthzBindAddress: '127.0.0.1',
    healthzPort: ports.kubeletHealth,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: join(certificates, 'ca.crt') },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: join(certificates, 'kubelet.crt'),
    tlsPrivateKeyFile: join(certificates, 'kubelet.key'),
    containerRuntimeEndpoint: `unix://${containerdSocket}`,
    cgroupDriver: 'cgroupfs',
    failCgroupV1: false,
    failSwapOn: false,
    clusterDomain: 'cluster.local',
    clusterDNS: [addresses.dns],
    resolvConf: join(configuration, 'resolv.conf'),
    podLogsDir: join(state, 'pod-logs'),
    volumePluginDir: join(folder, 'volume-plugins'),
    // Nothing could bring back an image that was collected: there is no registry.
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    evictionHard: {
      'memory.available': '200Mi',
      'nodefs.available': '1%',
      'imagefs.available': '1%',
      'nodefs.inodesFree': '1%',
    },
    maxPods: 200,
    syncFrequency: '30s',
    nodeStatusUpdateFrequency: '10s',
    serializeImagePulls: false,
    registryPullQPS: 0,
  };
}

function proxy(places: Places) {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    clientConnection: { kubeconfig: kubeconfigOf(places, 'proxy') },
    hostnameOverride: nodeName,
    bindAddress: addresses.node,
    healthzBindAddress: `127.0.0.1:${ports.proxyHealth}`,
    metricsBindAddress: `127.0.0.1:${ports.proxyMetrics}`,
    mode: 'iptables',
    clusterCIDR: addresses.podNetwork,
    nodePortAddresses: ['primary'],
    iptables: { localhostNodePorts: false, minSyncPeriod: '0s' },
    // The machine's own limits stay.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
  };
}
