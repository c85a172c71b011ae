import { expect, it } from 'vitest';
import { isRootedIn } from './down.ts';

const overlay = (mountPoint: string, store: string) =>
  `77 50 0:41 / ${mountPoint} ro,relatime - overlay overlay rw,lowerdir=${store}/1/fs,upperdir=${store}/45/fs,workdir=${store}/45/work`;
const disk = '27 1 254:0 / / rw,relatime - ext4 /dev/vda rw';

it('takes for a container of the cluster only what has its root in the cluster’s image store', () => {
  expect(isRootedIn('/cache/images', `22 77 0:21 / /proc rw - proc proc rw\n${overlay('/', '/cache/images')}`)).toBe(
    true,
  );
  expect(isRootedIn('/cache/images', overlay('/', '/var/lib/containerd'))).toBe(false);
  expect(isRootedIn('/cache/images', overlay('/', '/cache/images-of-another'))).toBe(false);
});

it('does not take a process of the machine for one, which sees the roots of containers', () => {
  expect(isRootedIn('/cache/images', `${disk}\n${overlay('/run/pod/rootfs', '/cache/images')}`)).toBe(false);
});
