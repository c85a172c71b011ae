import { builtinModules } from 'node:module';
import type { Plugin } from 'esbuild';

const builtins = new Set(builtinModules);

/** Of what esbuild cannot shake, because it is CommonJS or has effects on import: only these parts, by package. */
const parts: Readonly<Record<string, string>> = {
  // the whole has fetch, WebSocket, caches and mocks: 40 % of the time a function takes to start
  // its own entry gives dispatchers their methods; `request` is the one we use
  undici: `import Dispatcher from 'undici/lib/dispatcher/dispatcher.js';
    import request from 'undici/lib/api/api-request.js';
    Dispatcher.prototype.request = request;
    export { default as errors } from 'undici/lib/core/errors.js';
    export { default as buildConnector } from 'undici/lib/core/connect.js';
    export { default as Pool } from 'undici/lib/dispatcher/pool.js';
    export { default as Agent } from 'undici/lib/dispatcher/agent.js';`,
  // without the push gateway and the aggregation over cluster workers, which load zlib and more
  'prom-client': `export { default as Registry } from 'prom-client/lib/registry.js';
    export { default as Counter } from 'prom-client/lib/counter.js';
    export { default as Gauge } from 'prom-client/lib/gauge.js';
    export { default as Histogram } from 'prom-client/lib/histogram.js';
    export { default as collectDefaultMetrics } from 'prom-client/lib/defaultMetrics.js';`,
};

/** Packages that are loaded on demand, from a file of their own beside the bundle: what it exports, by package. */
export const apart: Readonly<Record<string, { file: string; exports: string }>> = {
  '@kubernetes/client-node': {
    file: 'kubeconfig.js',
    // the reader of kubeconfigs only: its models and clients are 15 MB
    exports: `export { KubeConfig } from './node_modules/@kubernetes/client-node/dist/config.js';`,
  },
  '@opentelemetry/exporter-trace-otlp-http': {
    file: 'otlp-exporter.js',
    exports: `export { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';`,
  },
  '@opentelemetry/resources': {
    file: 'otlp-resources.js',
    exports: `export { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';`,
  },
  '@aws-sdk/client-s3': {
    file: 's3.js',
    // what shared/adapters/objectstore/s3-client.ts names; the other hundred commands are 200 kB
    exports: `export { S3Client, AbortMultipartUploadCommand, CompleteMultipartUploadCommand, CreateMultipartUploadCommand,
      DeleteObjectCommand, GetObjectCommand, GetObjectLockConfigurationCommand, HeadObjectCommand, ListObjectsV2Command,
      ListObjectVersionsCommand, PutObjectCommand, UploadPartCommand } from '@aws-sdk/client-s3';`,
  },
  ioredis: { file: 'redis.js', exports: `export { Redis } from 'ioredis';` },
  '@neondatabase/serverless': { file: 'neon.js', exports: `export * from '@neondatabase/serverless';` },
};

/** Packages a built function never loads: it hosts itself, see shared/runtime/host.ts. */
const neverLoaded = ['@google-cloud/functions-framework'];

/**
 * Takes Node's own modules by `process.getBuiltinModule`. An `import` of one makes Node read each of its exports, and
 * reading `http.WebSocket` loads Node's copy of undici: 12 MiB and as much time as all else a bare server needs.
 * Those that few starts need are loaded when one of their exports is first used.
 */
export function nodeModules(): Plugin {
  return {
    name: 'node-modules',
    setup(build) {
      build.onResolve({ filter: /^(node:)?[a-z_]/ }, ({ path, kind }) => {
        const name = path.replace(/^node:/, '');
        if (!path.startsWith('node:') && !builtins.has(name)) return undefined;
        const isWhole = kind === 'require-call' || onDemand.includes(name);
        return { path: name, namespace: isWhole ? 'node' : 'node-exports' };
      });
      build.onLoad({ filter: /.*/, namespace: 'node' }, ({ path }) => ({ contents: wholeModule(path) }));
      build.onLoad({ filter: /.*/, namespace: 'node-exports' }, ({ path }) => ({ contents: exportsOf(path) }));
    },
  };
}

const onDemand = ['crypto', 'http2', 'https', 'perf_hooks', 'stream/web', 'tls', 'v8', 'worker_threads', 'zlib'];
const getting = (name: string) => `process.getBuiltinModule(${JSON.stringify(`node:${name}`)})`;
const namesOf = (name: string) => Object.keys(process.getBuiltinModule(`node:${name}`) as object);

/** As CommonJS wants it. */
function wholeModule(name: string): string {
  if (!onDemand.includes(name)) return `module.exports = ${getting(name)};`;
  // pino asks at once, and a function is no worker
  const known = name === 'worker_threads' ? 'exports.isMainThread = true;' : '';
  const names = namesOf(name).filter((key) => !known.includes(key));
  return `let loaded;
    for (const name of ${JSON.stringify(names)}) {
      Object.defineProperty(exports, name, { enumerable: true, get: () => (loaded ??= ${getting(name)})[name] });
    }
    ${known}`;
}

/** Each export for itself, so that those nobody imports are neither read nor kept. */
function exportsOf(name: string): string {
  const names = namesOf(name).filter((key) => /^[A-Za-z_$][\w$]*$/.test(key) && key !== 'default');
  const lines = names.map((key, index) => `const export${index} = /* @__PURE__ */ (() => whole.${key})();`);
  const list = names.map((key, index) => `export${index} as ${key}`);
  return `const whole = ${getting(name)};
    ${lines.join('\n')}
    export { whole as default, ${list.join(', ')} };`;
}

/** CommonJS modules that export one function, by who requires them: loaded when it is called, which no start does. */
const calledLater: readonly { path: string; from: string; call: string }[] = [
  // HTTP/2, with the first connection that speaks it
  { path: './client-h2.js', from: '/undici/lib/dispatcher/client.js', call: '' },
  // worker threads, for transports; our log writes by itself
  { path: 'thread-stream', from: '/pino/lib/transport.js', call: 'new ' },
];

/** Puts a function in the place of those modules that loads the module and calls it. */
export function modulesCalledLater(): Plugin {
  return {
    name: 'modules-called-later',
    setup(build) {
      build.onResolve(
        { filter: /^(\.\/client-h2\.js|thread-stream)$/ },
        ({ path, importer, resolveDir, namespace }) => {
          const found = calledLater.find((one) => one.path === path && importer.endsWith(one.from));
          if (found === undefined || namespace !== 'file') return undefined;
          return { path, namespace: 'called-later', pluginData: { resolveDir, call: found.call } };
        },
      );
      build.onLoad({ filter: /.*/, namespace: 'called-later' }, ({ path, pluginData }) => {
        const { resolveDir, call } = pluginData as { resolveDir: string; call: string };
        const contents = `module.exports = function (...args) { return ${call}(require(${JSON.stringify(path)}))(...args); };`;
        return { contents, resolveDir };
      });
    },
  };
}

/** Modules that are required at once, for a setting we never make. */
const neverUsed: readonly { path: string; from: string }[] = [
  // 30 kB of no-op tracers, for exemplars of the process's CPU counters; our spans are our own
  { path: '@opentelemetry/api', from: '/prom-client/lib/metrics/processCpuTotal.js' },
];

/** Puts nothing in the place of those modules. */
export function modulesLeftOut(): Plugin {
  return {
    name: 'modules-left-out',
    setup(build) {
      build.onResolve({ filter: /^@opentelemetry\/api$/ }, ({ path, importer }) => {
        const isFound = neverUsed.some((one) => one.path === path && importer.endsWith(one.from));
        return isFound ? { path, namespace: 'left-out' } : undefined;
      });
      build.onLoad({ filter: /.*/, namespace: 'left-out' }, () => ({ contents: 'module.exports = {};' }));
    },
  };
}

/** Our own imports of some packages get the parts we use; a part that is not listed is an error of the build. */
export function partsOfPackages(root: string): Plugin {
  return {
    name: 'parts-of-packages',
    setup(build) {
      build.onResolve({ filter: /^(undici|prom-client)$/ }, ({ path, importer, kind }) => {
        const isOurs = !importer.includes('/node_modules/');
        return isOurs && kind === 'import-statement' ? { path, namespace: 'parts' } : undefined;
      });
      build.onLoad({ filter: /.*/, namespace: 'parts' }, ({ path }) => ({
        contents: parts[path] ?? '',
        resolveDir: root,
      }));
    },
  };
}

/** Leaves what is loaded on demand out of the bundle, and tells of each package. */
export function packagesApart(onFound: (name: string) => void, options: { isProgram: boolean }): Plugin {
  return {
    name: 'packages-apart',
    setup(build) {
      build.onResolve({ filter: /^[@a-z]/ }, ({ path, kind }) => {
        if (kind !== 'dynamic-import') return undefined;
        if (options.isProgram && neverLoaded.includes(path)) return { path, external: true };
        const found = apart[path];
        if (found === undefined) return undefined;
        onFound(path);
        return { path: `./${found.file}`, external: true };
      });
    },
  };
}
