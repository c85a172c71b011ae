import type { Image } from '../image.ts';
import type { Container, PodSpec } from './objects.ts';

export type User = { uid: number; gid: number };

export type UserDecision = { user: User | undefined } | { refusal: string };

/**
 * Whom a container runs as. `undefined`: as the node itself, because nothing names a user. The refusals and their texts
 * are the kubelet's for `runAsNonRoot`.
 */
export function containerUser(pod: PodSpec, container: Container, image: Image): UserDecision {
  const own = container.securityContext ?? {};
  const shared = pod.securityContext ?? {};
  const imageUser = image.kind === 'root' ? image.user : undefined;
  const uid = own.runAsUser ?? shared.runAsUser ?? imageUser?.uid;
  const isNonRoot = own.runAsNonRoot ?? shared.runAsNonRoot ?? false;
  if (isNonRoot) {
    const isAsked = (own.runAsUser ?? shared.runAsUser) !== undefined;
    if (uid === undefined) {
      return { refusal: 'container has runAsNonRoot and image has non-numeric user, cannot verify user is non-root' };
    }
    if (uid === 0) {
      return {
        refusal: isAsked
          ? "container's runAsUser breaks non-root policy"
          : 'container has runAsNonRoot and image will run as root',
      };
    }
  }
  if (uid === undefined) return { user: undefined };
  // Without a group the kubelet's runtimes take the image's for the image's user, else root's.
  const gid = own.runAsGroup ?? shared.runAsGroup ?? (uid === imageUser?.uid ? imageUser.gid : 0);
  return { user: { uid, gid } };
}
