import { createHash } from 'node:crypto';
import type { Image } from './instance.ts';
import type { TemplateKey } from './ports.ts';

/** Sorted, without doubles and without `base`, which is always installed. */
export function normaliseModules(modules: readonly string[]): readonly string[] {
  return [...new Set(modules)].filter((name) => name !== 'base').sort();
}

/**
 * The template that fits an instance: one per image reference, addons digest, set of modules and language.
 * A new image or new addons give a new digest, so an old template is never cloned for them.
 */
export function templateKeyOf(image: Image, modules: readonly string[], language: string): TemplateKey {
  const wanted = normaliseModules(modules);
  const text = JSON.stringify([image.reference, image.odooVersion, image.addonsDigest, wanted, language]);
  return { imageId: image.id, modules: wanted, digest: createHash('sha256').update(text).digest('hex').slice(0, 12) };
}
