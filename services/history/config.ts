import { baseConfig } from '../shared/config.ts';

export const config = baseConfig;
