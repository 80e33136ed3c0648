import { baseConfig } from '../shared/runtime/config.ts';

export const config = baseConfig;
