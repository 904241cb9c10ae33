export function compileShim(target?: string): string | undefined;

export class DiskShim {
  readonly env: Readonly<Record<string, string>>;
  constructor(options: { library: string; folder: string; controlFile: string; recordFile?: string });
  slowSyncs(milliseconds: number): void;
  failWrites(code?: 'ENOSPC' | 'EIO' | 'EROFS'): void;
  failSyncs(code?: 'ENOSPC' | 'EIO' | 'EROFS'): void;
  failOpens(code?: 'ENOSPC' | 'EIO' | 'EROFS'): void;
}
