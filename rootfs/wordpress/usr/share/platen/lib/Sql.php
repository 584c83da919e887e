<?php
declare( strict_types=1 );

namespace Platen;

/**
 * What a statement is, as far as the choice of a server needs it. It errs on one side only: what it
 * does not know is a write of any table. It follows the lexer of MySQL and MariaDB where a mistake
 * would hide a write: which comments are code, where a string ends, when a word is a call.
 *
 * It expects what SplitDatabase sets on each connection: utf8mb4, backslashes that escape, and
 * strings in double quotes.
 */
final class Sql {

	/** Reads tables, changes nothing, and would say the same on any connection. */
	public const READ = 'read';
	/** Belongs on the connection of the statement before it: FOUND_ROWS(), SHOW WARNINGS. */
	public const FOLLOW = 'follow';
	/** Changes no table, but depends on the writer's connection, or on the writer itself. */
	public const SESSION = 'session';
	/** May change tables. */
	public const WRITE = 'write';

	/** Any table: the statement could not be understood. */
	public const ANY = array( '*' );

	// All that MySQL and MariaDB have built in, that neither changes nor depends on the connection,
	// and that no stored function can take the name of. Others are stored functions: they may write.
	private const PURE = 'abs acos adddate addtime ascii asin atan atan2 avg bin bit_and bit_count bit_length bit_or bit_xor
		cast ceil ceiling char char_length character_length coalesce concat concat_ws conv convert convert_tz cos cot count crc32
		cume_dist curdate current_date current_time current_timestamp curtime date date_add date_format date_sub datediff day
		dayname dayofmonth dayofweek dayofyear degrees dense_rank elt exp export_set extract field find_in_set first_value floor
		format from_base64 from_days from_unixtime get_format greatest group_concat hex hour if ifnull inet_aton inet_ntoa
		inet6_aton inet6_ntoa instr interval isnull json_array json_array_append json_array_insert json_arrayagg json_contains
		json_contains_path json_depth json_extract json_insert json_keys json_length json_merge_patch json_merge_preserve
		json_object json_objectagg json_quote json_remove json_replace json_search json_set json_type json_unquote json_valid json_value json_overlaps json_pretty any_value regexp_like grouping
		lag last_day last_value lcase lead least left length ln localtime localtimestamp locate log log10 log2 lower lpad ltrim
		makedate maketime max md5 microsecond mid min minute mod month monthname now nth_value ntile nullif oct octet_length ord
		percent_rank period_add period_diff pi position pow power quarter quote radians rand rank regexp_instr regexp_replace
		regexp_substr repeat replace reverse right round row_number rpad rtrim sec_to_time second sha sha1 sha2 sign sin
		soundex space sqrt std stddev stddev_pop stddev_samp str_to_date strcmp subdate substr substring substring_index subtime
		sum sysdate tan time time_format time_to_sec timediff timestamp timestampadd timestampdiff to_base64 to_days to_seconds
		trim truncate ucase unhex unix_timestamp upper utc_date utc_time utc_timestamp values var_pop var_samp variance week
		weekday weekofyear weight_string year yearweek
		st_distance st_intersects st_geomfromwkb mbrcontains st_distance_sphere st_x st_y st_contains st_within st_geomfromtext st_astext point';

	// Words that a parenthesis may follow without being called.
	private const GRAMMAR = 'all and any as between binary by case distinct distinctrow div else end except exists from
		having in index intersect is join key like limit not of offset on or over regexp rlike select some straight_join then
		union using when where xor escape against match row unsigned signed decimal dec numeric varchar nchar varbinary datetime
		integer float double partition';

	// In a SELECT these mean that it is more than one, or that another statement hides in it.
	private const NEVER = 'alter analyze call create delete do drop execute flush grant handler insert install kill load
		nextval lastval setval currval next previous prepare procedure purge rename reset returning revoke set shutdown
		truncate update';

	// Built in and harmless, but true of one connection or one server only.
	private const BOUND = 'benchmark connection_id current_role current_user database found_rows get_lock is_free_lock
		is_used_lock last_insert_id load_file master_pos_wait source_pos_wait release_all_locks release_lock row_count schema
		session_user sleep system_user user uuid uuid_short version wait_for_executed_gtid_set master_gtid_wait name_const
		random_bytes';

	private const TOKEN = '~\G(?:
		  (?<space>  [ \t\n\x0b\f\r]++ | \#[^\n\x00]*+ | --(?=[\x01-\x20\x7f]|\z)[^\n\x00]*+ | /\*(?![!+]|M!)(?:[^*\x00]++|\*(?!/))*+\*/ )
		| (?<string> \'(?:[^\'\\\\]++|\\\\.|\'\')*+\' | "(?:[^"\\\\]++|\\\\.|"")*+" )
		| (?<quoted> `(?:[^`\x00]++|``)++` )
		| (?<number> (?:0x[0-9a-f]++|0b[01]++|[0-9]++(?:\.[0-9]*+)?+(?:e[+-]?[0-9]++)?+|\.[0-9]++(?:e[+-]?[0-9]++)?+)(?![a-z0-9_$\x80-\xff]) )
		| (?<word>   [a-z0-9_$\x80-\xff]++ )
		| (?<sign>   := | /(?!\*) | \*(?!/) | [-+%=<>!&|^\~(),.;@] )
	)~isx';

	/** @var array<string, int>|null word → what it means: see words() */
	private static ?array $words = null;

	/**
	 * @param list<string> $tables     that are read (READ, SESSION) or written (WRITE); lower case
	 * @param bool         $counts     SQL_CALC_FOUND_ROWS
	 * @param bool         $selects    begins with SELECT, so that FOUND_ROWS() speaks of it afterwards
	 * @param bool         $atomic     one statement that a server refuses or runs as a whole
	 * @param ''|'begin'|'end'|'pin' $transaction 'pin': from now on the connection is not like others
	 * @param bool         $binds      leaves something on the connection that later statements may need
	 */
	private function __construct(
		public readonly string $kind,
		public readonly array $tables,
		public readonly bool $counts = false,
		public readonly bool $selects = false,
		public readonly bool $atomic = false,
		public readonly string $transaction = '',
		public readonly bool $binds = false
	) {
	}

	/** Understands one statement. It never fails: what it does not understand is a write. */
	public static function parse( string $sql ): self {
		// The beginning tells what it is; the rest of a write (megabytes, maybe) need not be read.
		if ( ! preg_match( '~^(?:[\s(]|/\*(?![!+]|m!)(?:[^*]|\*(?!/))*+\*/)*+([a-z]++)(?![a-z0-9_$\x80-\xff.])~i', $sql, $match ) ) {
			return self::unknown();
		}
		switch ( strtolower( $match[1] ) ) {
			case 'select':
			case 'with':
				$tokens = self::tokens( $sql );
				return null === $tokens ? self::unknown() : self::query( $tokens );
			case 'show':
			case 'desc':
			case 'describe':
				$tokens = self::tokens( $sql );
				return null === $tokens ? self::unknown() : self::show( $tokens );
			case 'insert':
			case 'replace':
			case 'update':
			case 'delete':
				return self::change( strtolower( $match[1] ), $sql );
			case 'create':
			case 'alter':
			case 'drop':
			case 'truncate':
				return self::define( $sql );
			case 'start':
			case 'begin': // MariaDB's BEGIN NOT ATOMIC is a program, START REPLICA no transaction
				return 1 === preg_match( '~^\s*(?:start\s+transaction(?:[\sa-z,]*)|begin(?:\s+work)?)\s*;?\s*$~i', $sql )
					? new self( self::SESSION, array(), transaction: 'begin' )
					: self::unknown();
			case 'commit':
			case 'rollback':
				// ROLLBACK TO a savepoint and … AND CHAIN stay in the transaction.
				$stays = 1 === preg_match( '~\b(?:to|chain)\b~i', $sql );
				return new self( self::SESSION, array(), transaction: $stays ? 'begin' : 'end' );
			case 'savepoint':
			case 'release':
				return new self( self::SESSION, array() );
			case 'set': // SET STATEMENT … FOR runs another statement; a subquery may call what writes
			case 'lock':
			case 'unlock':
			case 'use':
				return 1 === preg_match( '~\b(?:statement|select)\b|/\*~i', $sql )
					? self::unknown()
					: new self( self::SESSION, array(), transaction: 'pin', binds: true );
			case 'explain':
				// MariaDB and MySQL run what they explain in some forms; as a write it would forbid caching.
				return 1 === preg_match( '~^\s*explain\s+(?:extended\s+|format\s*=\s*\w+\s+)?select\b~i', $sql ) && self::READ === self::parse( (string) preg_replace( '~^.*?(?=\bselect\b)~is', '', $sql ) )->kind
					? new self( self::SESSION, array() )
					: self::unknown();
			default:
				return self::unknown();
		}
	}

	private static function unknown(): self {
		return new self( self::WRITE, self::ANY );
	}

	/**
	 * The statement's tokens without space and comments: type, text (words and names in lower case,
	 * names without their quotes). Null when it holds something that is not understood, among them
	 * comments with code in them and a second statement. With $most no more than so many, and those
	 * before what is not understood.
	 *
	 * @return list<array{string, string}>|null
	 */
	private static function tokens( string $sql, ?int $most = null ): ?array {
		$tokens = array();
		$at     = 0;
		$end    = strlen( $sql );
		while ( $at < $end ) {
			if ( 1 !== preg_match( self::TOKEN, $sql, $match, PREG_UNMATCHED_AS_NULL, $at ) || '' === $match[0] ) {
				return null === $most ? null : $tokens;
			}
			$at += strlen( $match[0] );
			if ( null !== $match['space'] ) {
				continue;
			}
			if ( null !== $most && count( $tokens ) >= $most ) {
				return $tokens;
			}
			$tokens[] = match ( true ) {
				null !== $match['string'] => array( 'string', $match[0] ),
				null !== $match['quoted'] => array( 'name', strtolower( str_replace( '``', '`', substr( $match[0], 1, -1 ) ) ) ),
				null !== $match['number'] => array( 'number', $match[0] ),
				null !== $match['word']   => array( 'word', strtolower( $match[0] ) ),
				default                   => array( 'sign', $match[0] ),
			};
		}
		while ( array( 'sign', ';' ) === end( $tokens ) ) {
			array_pop( $tokens );
		}
		return $tokens;
	}

	/** @return array<string, int> 1: pure function, 2: grammar, 4: never in a read, 8: bound to connection or server */
	private static function words(): array {
		if ( null === self::$words ) {
			self::$words = array();
			foreach ( array( 1 => self::PURE, 2 => self::GRAMMAR, 4 => self::NEVER, 8 => self::BOUND ) as $meaning => $list ) {
				foreach ( preg_split( '~\s+~', $list ) as $word ) {
					self::$words[ $word ] = ( self::$words[ $word ] ?? 0 ) | $meaning;
				}
			}
		}
		return self::$words;
	}

	/**
	 * SELECT and WITH.
	 *
	 * @param list<array{string, string}> $tokens
	 */
	private static function query( array $tokens ): self {
		$words  = self::words();
		$bound  = false; // to the writer, but no write
		$binds  = false;
		$counts = false;
		$follow = false;
		$n      = count( $tokens );
		for ( $i = 0; $i < $n; $i++ ) {
			list( $type, $text ) = $tokens[ $i ];
			$next                = $tokens[ $i + 1 ] ?? array( '', '' );
			$called              = array( 'sign', '(' ) === $next;
			$after_dot           = $i > 0 && array( 'sign', '.' ) === $tokens[ $i - 1 ];
			if ( 'sign' === $type ) {
				if ( ';' === $text || ':=' === $text && ! self::assigns( $tokens, $i ) ) {
					return self::unknown(); // a second statement
				}
				if ( '@' === $text ) { // a variable: of the connection, or of this server
					$bound = true;
					$binds = true;
				}
				continue;
			}
			if ( 'name' === $type || ( 'word' === $type && $after_dot ) ) {
				// A stored function; or a sequence that is counted up (a.nextval).
				if ( $called || ( $after_dot && in_array( $text, array( 'nextval', 'currval' ), true ) ) ) {
					return self::unknown();
				}
				continue;
			}
			if ( 'word' !== $type ) {
				continue;
			}
			$meaning = $words[ $text ] ?? 0;
			if ( 'into' === $text ) { // a variable or a file of the server: no table
				$bound = true;
				$binds = true;
			} elseif ( 'for' === $text || 'lock' === $text || 'share' === $text ) {
				$bound = true; // FOR UPDATE, LOCK IN SHARE MODE
			} elseif ( 'update' === $text && array( 'word', 'for' ) === ( $tokens[ $i - 1 ] ?? null ) ) {
				continue;
			} elseif ( 'found_rows' === $text && $called ) {
				$follow = true;
			} elseif ( 'sql_calc_found_rows' === $text ) {
				$counts = true;
			} elseif ( $meaning & 8 && ( $called || str_starts_with( $text, 'current_' ) || str_ends_with( $text, '_user' ) ) ) {
				$bound = true;
				$binds = $binds || str_ends_with( $text, '_lock' );
			} elseif ( $meaning & 4 && ! ( $meaning & 1 ) ) {
				return self::unknown();
			} elseif ( 'truncate' === $text && ! $called ) {
				return self::unknown();
			} elseif ( 'replace' === $text && ! $called ) {
				return self::unknown();
			} elseif ( $called && ! ( $meaning & 3 ) ) {
				return self::unknown();
			}
		}
		$tables = self::sources( $tokens );
		$select = 'word' === $tokens[0][0] || '(' === $tokens[0][1];
		if ( $bound ) {
			return new self( self::SESSION, $tables, $counts, $select, binds: $binds );
		}
		if ( $follow ) {
			// Where tables are read beside it, the connection matters and the tables too.
			return new self( array() === $tables && ! $counts ? self::FOLLOW : self::SESSION, $tables, $counts, $select );
		}
		return new self( self::READ, $tables, $counts, $select );
	}

	/**
	 * Whether := assigns to a variable of the connection (@x := 1).
	 *
	 * @param list<array{string, string}> $tokens
	 */
	private static function assigns( array $tokens, int $i ): bool {
		return array( 'sign', '@' ) === ( $tokens[ $i - 2 ] ?? null );
	}

	/**
	 * The tables after FROM, JOIN and the commas between them, also in subqueries.
	 *
	 * @param list<array{string, string}> $tokens
	 * @return list<string>
	 */
	private static function sources( array $tokens ): array {
		$tables = array();
		// Per parenthesis: whether a SELECT stands in it, whether its FROM is being read, and
		// whether a table comes next.
		$stack = array( array( 'select' => false, 'from' => false, 'expect' => false ) );
		$n     = count( $tokens );
		for ( $i = 0; $i < $n; $i++ ) {
			list( $type, $text ) = $tokens[ $i ];
			$top                 = &$stack[ count( $stack ) - 1 ];
			if ( 'sign' === $type && '(' === $text ) {
				$inner         = array( 'select' => $top['select'] && $top['expect'], 'from' => $top['expect'], 'expect' => $top['expect'] );
				$top['expect'] = false;
				unset( $top );
				$stack[] = $inner;
				continue;
			}
			if ( 'sign' === $type && ')' === $text ) {
				unset( $top );
				array_pop( $stack );
				if ( array() === $stack ) {
					return self::ANY;
				}
				continue;
			}
			if ( 'word' === $type && 'table' === $text && ! self::afterDot( $tokens, $i ) ) {
				return self::ANY; // TABLE t is short for SELECT * FROM t
			}
			if ( 'word' === $type && 'select' === $text ) {
				$top = array( 'select' => true, 'from' => false, 'expect' => false );
			} elseif ( $top['expect'] ) {
				if ( 'word' === $type && in_array( $text, array( 'lateral', 'json_table', 'values', 'with' ), true ) ) {
					return self::ANY;
				}
				if ( 'word' !== $type && 'name' !== $type ) {
					return self::ANY;
				}
				$name = $text;
				if ( array( 'sign', '.' ) === ( $tokens[ $i + 1 ] ?? null ) ) {
					$qualified = $tokens[ $i + 2 ] ?? array( '', '' );
					if ( 'word' !== $qualified[0] && 'name' !== $qualified[0] ) {
						return self::ANY;
					}
					// What the server says of its tables, and of itself, may concern all of them.
					if ( in_array( $name, array( 'information_schema', 'performance_schema', 'mysql', 'sys' ), true ) ) {
						return self::ANY;
					}
					$name = $qualified[1];
					$i   += 2;
				}
				if ( 'dual' !== $name || 'word' !== $type ) {
					$tables[ $name ] = true;
				}
				$top['expect'] = false;
			} elseif ( 'word' === $type && $top['select'] && ! self::afterDot( $tokens, $i ) ) {
				if ( 'from' === $text ) {
					$top['from']   = true;
					$top['expect'] = true;
				} elseif ( $top['from'] && ( 'join' === $text || 'straight_join' === $text ) ) {
					$top['expect'] = true;
				} elseif ( in_array( $text, array( 'where', 'group', 'having', 'order', 'limit' ), true ) ) {
					$top['from'] = false;
				}
			} elseif ( 'sign' === $type && ',' === $text && $top['from'] ) {
				$top['expect'] = true;
			}
			unset( $top );
		}
		return array_map( 'strval', array_keys( $tables ) );
	}

	/** @param list<array{string, string}> $tokens */
	private static function afterDot( array $tokens, int $i ): bool {
		return $i > 0 && array( 'sign', '.' ) === $tokens[ $i - 1 ];
	}

	/**
	 * SHOW, DESCRIBE.
	 *
	 * @param list<array{string, string}> $tokens
	 */
	private static function show( array $tokens ): self {
		foreach ( $tokens as $token ) {
			if ( 'sign' === $token[0] && ( ';' === $token[1] || '@' === $token[1] ) || array( 'sign', '(' ) === $token ) {
				// SHOW COUNT(*) WARNINGS is the one that has a parenthesis.
				return array( 'word', 'count' ) === ( $tokens[1] ?? null ) ? new self( self::FOLLOW, array() ) : self::unknown();
			}
		}
		$words = array_column( $tokens, 1 );
		$at    = 1;
		if ( 'show' !== $words[0] ) { // DESCRIBE table [column]; anything else explains a statement
			$name = self::name( $tokens, 1 );
			return null === $name || count( $tokens ) > 5 || in_array( $name, array( 'select', 'with', 'insert', 'update', 'delete', 'replace', 'table', 'analyze', 'format', 'extended', 'partitions', 'for' ), true )
				? self::unknown()
				: new self( self::READ, array( $name ) );
		}
		if ( in_array( $words[ $at ] ?? '', array( 'full', 'extended' ), true ) ) {
			++$at;
		}
		switch ( $words[ $at ] ?? '' ) {
			case 'warnings':
			case 'errors':
				return new self( self::FOLLOW, array() );
			case 'columns':
			case 'fields':
			case 'index':
			case 'indexes':
			case 'keys':
				$name = in_array( $words[ $at + 1 ] ?? '', array( 'from', 'in' ), true ) ? self::name( $tokens, $at + 2 ) : null;
				return new self( self::READ, null === $name ? self::ANY : array( $name ) );
			case 'tables':
				return new self( self::READ, self::ANY );
			case 'table':
				return 'status' === ( $words[ $at + 1 ] ?? '' ) ? new self( self::READ, self::ANY ) : self::unknown();
			case 'create':
				$name = 'table' === ( $words[ $at + 1 ] ?? '' ) ? self::name( $tokens, $at + 2 ) : null;
				return null === $name ? new self( self::SESSION, array() ) : new self( self::READ, array( $name ) );
			case 'variables':
			case 'status':
			case 'global':
			case 'session':
			case 'databases':
			case 'processlist':
			case 'engines':
			case 'engine':
			case 'grants':
			case 'plugins':
			case 'collation':
			case 'character':
			case 'replica':
			case 'slave':
			case 'master':
			case 'binary':
			case 'triggers':
				return new self( self::SESSION, array() ); // what is asked of the server is asked of the writer
			default:
				return self::unknown();
		}
	}

	/**
	 * The table named at a place, without its database; null where there is none.
	 *
	 * @param list<array{string, string}> $tokens
	 */
	private static function name( array $tokens, int $at ): ?string {
		if ( ! in_array( $tokens[ $at ][0] ?? '', array( 'word', 'name' ), true ) ) {
			return null;
		}
		if ( array( 'sign', '.' ) === ( $tokens[ $at + 1 ] ?? null ) ) {
			return in_array( $tokens[ $at + 2 ][0] ?? '', array( 'word', 'name' ), true ) ? $tokens[ $at + 2 ][1] : null;
		}
		return $tokens[ $at ][1];
	}

	/** INSERT, REPLACE, UPDATE, DELETE. */
	private static function change( string $verb, string $sql ): self {
		$binds = 'insert' === $verb || 'replace' === $verb; // LAST_INSERT_ID()
		// Enough for the names; the values of an insert are not looked at.
		$tokens = self::tokens( substr( $sql, 0, 2048 ), 12 );
		$at     = 1;
		while ( in_array( $tokens[ $at ] ?? null, array( array( 'word', 'low_priority' ), array( 'word', 'high_priority' ), array( 'word', 'delayed' ), array( 'word', 'quick' ), array( 'word', 'ignore' ), array( 'word', 'into' ) ), true ) ) {
			++$at;
		}
		if ( 'delete' === $verb && array( 'word', 'from' ) === ( $tokens[ $at ] ?? null ) ) {
			++$at;
			$verb = 'delete from';
		}
		$name = 'sign' === ( $tokens[0][0] ?? '' ) ? null : self::name( $tokens, $at );
		if ( null === $name ) {
			return new self( self::WRITE, self::ANY );
		}
		$after = $tokens[ array( 'sign', '.' ) === ( $tokens[ $at + 1 ] ?? null ) ? $at + 3 : $at + 1 ] ?? array( '', '' );
		if ( $binds ) {
			return new self( self::WRITE, array( $name ), atomic: true );
		}
		// Of one table; with an alias, a list or a join it may be several.
		$ends = 'update' === $verb ? array( 'set' ) : array( '', 'where', 'order', 'limit' );
		if ( 'delete' !== $verb && in_array( $after[1], $ends, true ) && 'string' !== $after[0] && 'name' !== $after[0] ) {
			return new self( self::WRITE, array( $name ), atomic: true );
		}
		$all = self::tokens( $sql );
		if ( null === $all ) {
			return new self( self::WRITE, self::ANY );
		}
		// The tables of the statement, of which some are written: read as the FROM of a SELECT.
		$list = array();
		foreach ( $all as $i => $token ) {
			if ( 0 === $i || ( 'update' === $verb && $i < $at ) ) {
				continue;
			}
			if ( 'update' === $verb && array( 'word', 'set' ) === $token ) {
				break;
			}
			$list[] = 'word' === $token[0] && 'using' === $token[1] && array( 'sign', '(' ) !== ( $all[ $i + 1 ] ?? null ) ? array( 'word', 'from' ) : $token;
		}
		$begin  = 'update' === $verb ? array( array( 'word', 'select' ), array( 'word', 'from' ) ) : array( array( 'word', 'select' ) );
		$tables = self::sources( array_merge( $begin, $list ) );
		return new self( self::WRITE, array() === $tables ? self::ANY : $tables, atomic: true );
	}

	/** CREATE, ALTER, DROP, TRUNCATE: of tables; what else there is may concern any of them. */
	private static function define( string $sql ): self {
		$tokens = self::tokens( substr( $sql, 0, 2048 ), 24 );
		$verb      = $tokens[0][1];
		$at        = 1;
		$temporary = array( 'word', 'temporary' ) === ( $tokens[ $at ] ?? null );
		$at       += $temporary ? 1 : 0;
		if ( array( 'word', 'table' ) === ( $tokens[ $at ] ?? null ) ) {
			++$at;
		} elseif ( 'truncate' !== $verb ) {
			return new self( self::WRITE, self::ANY, atomic: true, binds: $temporary );
		}
		while ( in_array( $tokens[ $at ] ?? null, array( array( 'word', 'if' ), array( 'word', 'not' ), array( 'word', 'exists' ) ), true ) ) {
			++$at;
		}
		$name  = self::name( $tokens, $at );
		$next  = $tokens[ array( 'sign', '.' ) === ( $tokens[ $at + 1 ] ?? null ) ? $at + 3 : $at + 1 ] ?? array( '', '' );
		$wider = ( 'drop' === $verb && '' !== $next[1] ) || ( 'alter' === $verb && 1 === preg_match( '~\b(?:rename|exchange)\b~i', $sql ) );
		return new self( self::WRITE, null === $name || $wider ? self::ANY : array( $name ), atomic: true, binds: $temporary );
	}

	/**
	 * Whether a write is one that pages make by themselves, of which nobody expects to see anything:
	 * transients, the list of cron's events, rewrite rules, and Platen's own tables.
	 */
	public function ofCourse( string $sql, string $prefix ): bool {
		if ( self::WRITE !== $this->kind || array() === $this->tables ) {
			return true;
		}
		foreach ( $this->tables as $table ) {
			if ( str_starts_with( $table, strtolower( "{$prefix}platen_" ) ) ) {
				continue;
			}
			if ( ! str_ends_with( $table, 'options' ) && ! str_ends_with( $table, 'sitemeta' ) ) {
				return false;
			}
			$names = '\'(?:\\\\*_(?:site\\\\*_)?transient|cron\'|rewrite_rules\'|doing_cron\')';
			if ( ! preg_match( "~^\s*(?:insert|replace)\b[^']*values\s*\(\s*(?:[0-9]+\s*,\s*)?$names~i", $sql )
				&& ! preg_match( "~\bwhere\s+(?:[0-9a-z_]+\.)?`?(?:option_name|meta_key)`?\s*(?:=|like)\s*$names~i", $sql ) ) {
				return false;
			}
		}
		return true;
	}
}
