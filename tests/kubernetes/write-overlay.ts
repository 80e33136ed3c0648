import { writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { stringify } from 'yaml';
import { root } from '../../deploy/local/machine/paths.ts';
import { NAMESPACE } from './cluster.ts';
import type { ReplacedImage } from './images.ts';

/** Writes the overlay of the test with these images and this catalogue into a folder of this repository. */
export function writeOverlay(folder: string, images: readonly ReplacedImage[], products: unknown): void {
  const kustomization = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    namespace: NAMESPACE,
    resources: [relative(folder, join(root, 'tests/kubernetes/overlay'))],
    configMapGenerator: [{ name: 'catalogue', files: ['catalogue.json'] }],
    images,
  };
  writeFileSync(join(folder, 'kustomization.yaml'), stringify(kustomization));
  writeFileSync(join(folder, 'catalogue.json'), JSON.stringify(products));
}
