import type { CredentialsStore } from '#shared/domain/instance/ports.ts';
import { knownSecrets } from './known-secrets.ts';

/** The same store; what it generates or reads is made known to the log's scrubber first. */
export function rememberingCredentials(store: CredentialsStore): CredentialsStore {
  const remember = (credentials: Readonly<Record<string, string>> | undefined) => {
    for (const value of Object.values(credentials ?? {})) knownSecrets.addPassing(value);
  };
  return {
    ...store,
    async read(instance) {
      const credentials = await store.read(instance);
      remember(credentials);
      return credentials;
    },
    async create(instance, credentials, fenced) {
      remember(credentials);
      const created = await store.create(instance, credentials, fenced);
      remember(created);
      return created;
    },
  };
}
