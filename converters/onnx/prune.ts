import { readsOf } from './gradient/active.ts'
