<?php
/** The classifier of statements: a table of what each is, and statements by a grammar, of which no write may pass for a read. */

declare( strict_types=1 );

require __DIR__ . '/harness.php';
require_once '/usr/share/platen/lib/Sql.php';

use Platen\Sql;

/** kind, tables, and what else there is to say. */
function said( string $sql ): string {
	$s = Sql::parse( $sql );
	return implode( ' ', array( $s->kind, ...$s->tables ) )
		. ( $s->counts ? ' +counts' : '' ) . ( $s->transaction ? " +$s->transaction" : '' ) . ( $s->binds ? ' +binds' : '' );
}

foreach ( array(
	// Reads, with all their tables.
	'SELECT 1'                                                                     => 'read',
	'select * from wp_posts'                                                       => 'read wp_posts',
	"  \n\t(SELECT ID FROM `WP_Posts` WHERE 1=1) ; \n"                              => 'read wp_posts',
	'SELECT a.ID FROM wp_posts AS a, wp_postmeta b LEFT JOIN wp_users ON (a.x = b.y), wp_options WHERE a.b = 1, c' => 'read wp_posts wp_postmeta wp_users wp_options',
	'SELECT * FROM (wp_a a, wp_b) INNER JOIN (wp_c JOIN wp_d USING (id, z)) USING (id)' => 'read wp_a wp_b wp_c wp_d',
	'SELECT ANY_VALUE(a), JSON_VALUE(b, "$.c") FROM wp_a PARTITION (p0, p1), wp_b' => 'read wp_a wp_b',
	'SELECT * FROM wp_a USE INDEX (x, y), wp_b'                                    => 'read wp_a wp_b',
	'SELECT * FROM wp_a a STRAIGHT_JOIN wp_b'                                      => 'read wp_a wp_b',
	'SELECT * FROM wp_posts WHERE ID IN (SELECT post_id FROM wp_postmeta WHERE meta_key = "x")' => 'read wp_posts wp_postmeta',
	'SELECT (SELECT COUNT(*) FROM wp_comments c) n, TRIM(LEADING "x" FROM y), EXTRACT(YEAR FROM post_date) FROM wp_posts' => 'read wp_comments wp_posts',
	'SELECT * FROM (SELECT ID FROM wp_posts UNION ALL SELECT ID FROM wp_users) AS t, wp_links' => 'read wp_posts wp_users wp_links',
	'SELECT ID FROM wp_posts UNION (SELECT ID FROM wp_users) ORDER BY 1, 2'        => 'read wp_posts wp_users',
	'WITH RECURSIVE t AS (SELECT ID FROM wp_posts) SELECT * FROM t'                => 'read wp_posts t',
	'SELECT * FROM blog.wp_posts, `blog` . `wp``x`'                                => 'read wp_posts wp`x',
	'SELECT * FROM information_schema.tables'                                      => 'read *',
	'SELECT * FROM (TABLE wp_posts) t'                                             => 'read *',
	'SELECT 1 UNION TABLE wp_posts'                                                => 'read *',
	'SELECT 1 FROM dual'                                                           => 'read',
	'SELECT SQL_CALC_FOUND_ROWS ID FROM wp_posts LIMIT 0, 10'                      => 'read wp_posts +counts',
	"SELECT 'it''s \\' FOR UPDATE; -- ' FROM wp_posts -- FOR UPDATE"                => 'read wp_posts',
	"SELECT 1 # INTO OUTFILE\n FROM wp_posts /* FOR UPDATE */"                      => 'read wp_posts',
	'/* a plugin */ SELECT 5--3, REPLACE(post_title, "a", "b"), COUNT( DISTINCT `update`) FROM wp_posts p WHERE p.delete = 1' => 'read wp_posts',
	"SELECT _utf8mb4'x', x'41', 0x41, b'1', .5, 1.5e-3, 1e5 FROM wp_posts"          => 'read wp_posts',
	'SELECT UTC_TIMESTAMP(), RAND(), DATE_ADD(NOW(), INTERVAL 1 DAY) FROM wp_posts' => 'read wp_posts',
	'SHOW FULL COLUMNS FROM `wp_posts`'                                            => 'read wp_posts',
	'DESCRIBE wp_posts;'                                                           => 'read wp_posts',
	'DESC blog.wp_posts'                                                           => 'read wp_posts',
	'SHOW INDEX FROM wp_posts'                                                     => 'read wp_posts',
	'SHOW CREATE TABLE wp_posts'                                                   => 'read wp_posts',
	"SHOW TABLES LIKE 'wp_posts'"                                                  => 'read *',
	"SHOW TABLE STATUS LIKE 'wp_%'"                                                => 'read *',

	// What belongs to the statement before.
	'SELECT FOUND_ROWS()'                                                          => 'follow',
	'select found_rows ( ) as n'                                                   => 'follow',
	'SHOW WARNINGS'                                                                => 'follow',
	'SHOW COUNT(*) WARNINGS'                                                       => 'follow',
	'SHOW ERRORS'                                                                  => 'follow',

	// What only the writer's connection can answer.
	'SELECT FOUND_ROWS(), ID FROM wp_posts'                                        => 'session wp_posts',
	'SELECT LAST_INSERT_ID()'                                                      => 'session',
	'SELECT ROW_COUNT()'                                                           => 'session',
	'SELECT @x'                                                                    => 'session +binds',
	'SELECT @rank := @rank + 1 FROM wp_posts'                                      => 'session wp_posts +binds',
	'SELECT @@session.sql_mode'                                                    => 'session +binds',
	"SELECT GET_LOCK('a', 1)"                                                      => 'session +binds',
	"SELECT IS_FREE_LOCK ('a')"                                                    => 'session +binds',
	'SELECT CONNECTION_ID(), CURRENT_USER, VERSION(), DATABASE()'                  => 'session',
	'SELECT SLEEP(1)'                                                              => 'session',
	'SELECT * FROM wp_posts FOR UPDATE'                                            => 'session wp_posts',
	'SELECT * FROM wp_posts LOCK IN SHARE MODE'                                    => 'session wp_posts',
	'SELECT * FROM wp_posts FOR SHARE'                                             => 'session wp_posts',
	"SELECT * FROM wp_posts INTO OUTFILE '/tmp/x'"                                 => 'session wp_posts +binds',
	'SELECT 1 INTO @x'                                                             => 'session +binds',
	"SHOW VARIABLES LIKE 'x'"                                                      => 'session',
	'EXPLAIN SELECT * FROM wp_posts'                                               => 'session',
	'START TRANSACTION'                                                            => 'session +begin',
	'start transaction with consistent snapshot, read only'                        => 'session +begin',
	'BEGIN;'                                                                       => 'session +begin',
	'COMMIT'                                                                       => 'session +end',
	'ROLLBACK'                                                                     => 'session +end',
	'ROLLBACK TO SAVEPOINT a'                                                      => 'session +begin',
	'SAVEPOINT a'                                                                  => 'session',
	'SET autocommit = 0'                                                           => 'session +pin +binds',
	"SET NAMES 'utf8mb4'"                                                          => 'session +pin +binds',
	'LOCK TABLES wp_posts WRITE'                                                   => 'session +pin +binds',

	// Writes, with their tables.
	"INSERT INTO `wp_options` (`option_name`) VALUES ('a')"                        => 'write wp_options',
	'INSERT IGNORE wp_options SET a = 1'                                           => 'write wp_options',
	"INSERT INTO wp_posts (a) VALUES ('" . str_repeat( 'x', 5000 ) . "')"          => 'write wp_posts',
	'INSERT INTO blog.wp_posts SELECT * FROM wp_old'                               => 'write wp_posts',
	'REPLACE INTO wp_options VALUES (1)'                                           => 'write wp_options',
	"UPDATE `wp_posts` SET `post_content` = '" . str_repeat( "\\'", 3000 ) . "' WHERE 1" => 'write wp_posts',
	'UPDATE wp_posts p, wp_postmeta m SET p.a = (SELECT 1 FROM wp_users) WHERE p.id = m.id' => 'write wp_posts wp_postmeta',
	'UPDATE wp_posts p JOIN wp_users u ON (u.id = p.a) SET p.a = 1'                => 'write wp_posts wp_users',
	'DELETE FROM wp_posts WHERE ID = 1'                                            => 'write wp_posts',
	'DELETE a, b FROM wp_options a, wp_options b WHERE a.x = b.y'                  => 'write wp_options',
	'DELETE FROM a USING wp_posts AS a INNER JOIN wp_users AS u'                   => 'write a wp_posts wp_users',
	'CREATE TABLE IF NOT EXISTS wp_x (id int)'                                     => 'write wp_x',
	'CREATE TEMPORARY TABLE tmp (id int)'                                          => 'write tmp +binds',
	'ALTER TABLE `wp_posts` ADD COLUMN x int'                                      => 'write wp_posts',
	'ALTER TABLE wp_posts RENAME TO wp_other'                                      => 'write *',
	'DROP TABLE IF EXISTS wp_x'                                                    => 'write wp_x',
	'DROP TABLE wp_x, wp_y'                                                        => 'write *',
	'TRUNCATE TABLE wp_posts'                                                      => 'write wp_posts',
	'RENAME TABLE a TO b'                                                          => 'write *',

	// Who knows.
	''                                                                             => 'write *',
	'nonsense'                                                                     => 'write *',
	'CALL cleanup()'                                                               => 'write *',
	'DO cleanup()'                                                                 => 'write *',
	'SELECT cleanup(1)'                                                            => 'write *',
	'SELECT blog.cleanup(1)'                                                       => 'write *',
	'SELECT `concat`(1)'                                                           => 'write *',
	'SELECT cleanup /* x */ (1)'                                                   => 'write *',
	'SELECT NEXT VALUE FOR ids'                                                    => 'write *',
	'SELECT NEXTVAL(ids)'                                                          => 'write *',
	'SELECT ids.nextval'                                                           => 'write *',
	'SELECT 1; DROP TABLE wp_posts'                                                => 'write *',
	'SELECT 1 /*! INTO OUTFILE "x" */'                                             => 'write *',
	"SELECT 1 /*!99999 ' */ FOR UPDATE -- '"                                       => 'write *',
	'SELECT 1 /*M! FOR UPDATE */'                                                  => 'write *',
	'SELECT /*+ SET_VAR(sql_mode = "") */ 1'                                       => 'write *',
	"SELECT 1 -- \0 DROP"                                                          => 'write *',
	"SELECT 'unfinished"                                                           => 'write *',
	'SELECT ?'                                                                     => 'write *',
	'WITH t AS (SELECT 1) DELETE FROM wp_posts'                                    => 'write *',
	'WITH t AS (SELECT 1) UPDATE wp_posts SET a = 1'                               => 'write *',
	'BEGIN NOT ATOMIC DELETE FROM wp_posts; END'                                   => 'write *',
	'SET STATEMENT max_statement_time=1 FOR DELETE FROM wp_posts'                  => 'write *',
	'SET @x = (SELECT cleanup())'                                                  => 'write *',
	'EXPLAIN ANALYZE DELETE FROM wp_posts'                                         => 'write *',
	'ANALYZE TABLE wp_posts'                                                       => 'write *',
	'HANDLER wp_posts OPEN'                                                        => 'write *',
	"LOAD DATA INFILE 'x' INTO TABLE wp_posts"                                     => 'write *',
) as $sql => $want ) {
	expect( substr( (string) preg_replace( '~\s+~', ' ', (string) $sql ), 0, 90 ), $want, said( (string) $sql ) );
}

// `--` without a space is arithmetic, not a comment: what follows is code.
expect( 'minus minus', Sql::SESSION, Sql::parse( "SELECT 1 --1 INTO OUTFILE 'x'" )->kind );

// What pages write by themselves.
foreach ( array(
	"INSERT INTO `wp_options` (`option_name`, `option_value`, `autoload`) VALUES ('_transient_timeout_x', '1', 'off') ON DUPLICATE KEY UPDATE `option_name` = VALUES(`option_name`)" => true,
	"UPDATE `wp_options` SET `option_value` = 'it''s' WHERE `option_name` = 'cron'" => true,
	"DELETE FROM `wp_options` WHERE `option_name` = '_site_transient_x'" => true,
	"DELETE a, b FROM wp_options a, wp_options b WHERE a.option_name LIKE '\\\\_transient\\\\_%' AND a.option_name NOT LIKE 'x'" => true,
	"UPDATE wp_platen_lease SET holder = 'a'" => true,
	"UPDATE `wp_options` SET `option_value` = 'x' WHERE `option_name` = 'blogname'" => false,
	"UPDATE `wp_options` SET `option_value` = 'x' WHERE `option_name` = 'cronometer'" => false,
	"INSERT INTO `wp_options` (`option_name`) VALUES ('cart_transient')" => false,
	"INSERT INTO wp_comments (comment_content) VALUES ('_transient_x')" => false,
	'nonsense' => false,
) as $sql => $want ) {
	expect( 'of course: ' . substr( $sql, 0, 90 ), $want, Sql::parse( $sql )->ofCourse( $sql, 'wp_' ) );
}

// Statements of WordPress itself: what it reads is read, what it writes is written.
$kinds = array();
foreach ( preg_split( '~;\n~', (string) file_get_contents( __DIR__ . '/testdata/statements.sql' ), -1, PREG_SPLIT_NO_EMPTY ) as $sql ) {
	$sql = trim( (string) preg_replace( '~^-- .*$~m', '', $sql ) );
	if ( '' === $sql ) {
		continue;
	}
	$s    = Sql::parse( $sql );
	$verb = strtolower( (string) strtok( ltrim( $sql, '(' ), " \n\t" ) );
	$want = in_array( $verb, array( 'select', 'show', 'describe' ), true ) ? array( 'read', 'follow' ) : array( 'write' );
	if ( preg_match( '~@@|LAST_INSERT_ID|\bVERSION\(|GET_LOCK|RELEASE_LOCK|SHOW (?:GLOBAL |SESSION )?(?:VARIABLES|STATUS)|^\(?(?:SET|START|COMMIT|BEGIN|ROLLBACK)\b|FOR UPDATE~i', $sql ) ) {
		$want = array( 'session' );
	}
	if ( ! in_array( $s->kind, $want, true ) || ( 'write' === $s->kind && Sql::ANY === $s->tables ) ) {
		expect( $sql, implode( '|', $want ), said( $sql ) );
	}
	$kinds[ $s->kind ] = ( $kinds[ $s->kind ] ?? 0 ) + 1;
}
expect( 'statements of WordPress: enough of both', true, ( $kinds['read'] ?? 0 ) > 100 && ( $kinds['write'] ?? 0 ) > 25 );

// A grammar of statements that change something, or depend on the connection, in every dress.
$seed = (int) ( $argv[1] ?? random_int( 1, PHP_INT_MAX ) );
mt_srand( $seed );
function any( array $of ): string {
	return (string) $of[ mt_rand( 0, count( $of ) - 1 ) ];
}
function space(): string {
	return any( array( ' ', ' ', "\n", "\t ", '/**/', '/* FROM \' */', "-- it's\n", "# \"\n", "--\n", "/* x\n * y */ ", "\r\n", "\x0b" ) );
}
function dress( string $sql ): string {
	$out = ''; // ~ is a space inside of quotes, which stays as it is
	foreach ( preg_split( '~( )~', $sql, -1, PREG_SPLIT_DELIM_CAPTURE ) as $part ) {
		if ( ' ' === $part ) {
			$out .= space();
			continue;
		}
		$out .= preg_match( '~[\'"`]~', $part ) ? $part : any( array( strtolower( $part ), strtoupper( $part ), ucfirst( strtolower( $part ) ) ) );
	}
	return any( array( '', '', ' ', "\n" ) ) . strtr( $out, '~', ' ' ) . any( array( '', '', ';', ' ; ', ' -- x', '#' ) );
}
function expression( int $depth = 0 ): string {
	$plain = array( '1', "'a~;~b'", "'it''s'", "'\\\\'", "'\\''", '"x~--~y"', '`update`', 'p . ID', 'NULL', '0x1f', '1.5', "''", "'/*'", "'*/'", '`a``b`' );
	if ( $depth > 2 || mt_rand( 0, 2 ) > 0 ) {
		return any( $plain );
	}
	return any(
		array(
			'( ' . expression( $depth + 1 ) . ' )',
			'concat( ' . expression( $depth + 1 ) . ' , ' . expression( $depth + 1 ) . ' )',
			expression( $depth + 1 ) . ' + ' . expression( $depth + 1 ),
			'case when ' . expression( $depth + 1 ) . ' then 1 else 2 end',
			'( select ' . expression( $depth + 1 ) . ' from wp_a where x = ' . expression( $depth + 1 ) . ' )',
			'count(*)',
		)
	);
}
function from(): string {
	return any( array( '', ' from wp_posts', ' from wp_posts p , wp_users', ' from `wp_a` a left join wp_b on ( a.x = ' . expression() . ' )', ' from ( select ' . expression() . ' ) t' ) );
}
function read(): string {
	return 'select ' . expression() . from() . ( mt_rand( 0, 1 ) ? ' where ' . expression() . ' > ' . expression() : '' );
}
function write_statement(): string {
	$evil = any( array( 'cleanup( ' . expression() . ' )', 'cleanup ( )', 'blog.cleanup( 1 )', '`f`( 1 )', '`f` ( )', 'nextval( s )', 'setval( s , 1 )', 'sleep( 1 )', 'last_insert_id( )', 'get_lock( \'a\' , 1 )', 'release_lock( \'a\' )', 'row_count( )', '@x', '@x := 1', '@@version', 'insert_x( )', 'next value for s', 'uuid_short( )', '@`a~b`', "@'x'" ) );
	$e    = expression();
	return any(
		array(
			"insert into wp_posts values ( $e )", "insert into wp_posts " . read(), "replace wp_posts set a = $e", "update wp_posts set a = $e where b = $e",
			"update wp_posts p , wp_users u set p.a = $e", "delete from wp_posts where a = $e", "delete p from wp_posts p join wp_users", 'truncate wp_posts',
			'drop table wp_posts', 'create table t as ' . read(), 'create temporary table t as ' . read(), 'alter table wp_posts add x int', 'rename table a to b',
			"call p( $e )", "do f( $e )", 'begin', 'start transaction', 'commit', 'rollback', "set @x = $e", 'set autocommit = 0', 'lock tables wp_posts write',
			"select $evil" . from(), "select $e , $evil" . from(), read() . " and a = $evil", 'select ( select ' . $evil . ' ) from wp_posts', "select * from ( select $evil ) t",
			read() . ' for update', read() . ' for share', read() . ' lock in share mode', read() . " into outfile 'x'", read() . ' into @x', "select $e into @x",
			read() . ' union ' . read() . ' for update', '( ' . read() . ' for update )', "select * from wp_a where x in ( select y from wp_b for update )",
			read() . ' ; delete from wp_posts', read() . ' ; ' . read(), read() . ' /*! for update */', read() . ' /*!50000 , f( ) */', '/*! delete from wp_posts */',
			'with t as ( ' . read() . ' ) delete from wp_posts', 'with t as ( ' . read() . ' ) update wp_posts set a = 1', "with t as ( select $evil ) select * from t",
			"explain analyze update wp_posts set a = $e", 'analyze table wp_posts', 'optimize table wp_posts', "grant all on x to 'y'", 'flush tables', "kill 1",
			"begin not atomic delete from wp_posts ; end", 'set statement x = 1 for delete from wp_posts', "load data infile 'x' into table wp_posts", 'handler wp_posts open',
			"prepare s from 'delete from wp_posts'", 'execute s', "execute immediate 'delete from wp_posts'", 'show /*! create */ x', "select * from wp_posts procedure analyse( )",
		)
	);
}
$reads  = 0;
$hidden = array();
$unknown = array();
for ( $i = 0; $i < 8000; $i++ ) {
	$sql = dress( write_statement() );
	if ( in_array( Sql::parse( $sql )->kind, array( Sql::READ, Sql::FOLLOW ), true ) ) {
		$hidden[] = $sql;
	}
	// That everything were a write would be no help: reads in the same dress are recognised.
	if ( 0 === $i % 4 ) {
		++$reads;
		$sql = dress( read() );
		if ( Sql::READ !== Sql::parse( $sql )->kind ) {
			$unknown[] = $sql;
		}
	}
}
expect( "no write passes for a read (seed $seed)", array(), array_slice( $hidden, 0, 3 ) );
expect( "reads are recognised (seed $seed)", array(), array_slice( $unknown, 0, 3 ) );
expect( 'many of them', true, $reads > 1000 );

// Random damage to real statements may make nonsense, but never a read that was a write.
$pieces = array( "'", '"', '`', '\\', '/*', '*/', '--', '-- ', '#', "\n", ';', '(', ')', ' for update', ' into @x', '@', "\0", "\xc3", "\xff'" );
$lost   = array();
for ( $i = 0; $i < 3000; $i++ ) {
	$sql = any( array( 'delete from wp_posts where a = \'x\'', "insert into wp_posts values ( 'a' , \"b\" )", 'update wp_posts set `a` = 1', 'drop table wp_posts' ) );
	$at  = mt_rand( 6, strlen( $sql ) );
	$sql = substr( $sql, 0, $at ) . any( $pieces ) . substr( $sql, $at );
	if ( Sql::WRITE !== Sql::parse( $sql )->kind ) {
		$lost[] = $sql;
	}
}
expect( "a damaged write stays one (seed $seed)", array(), array_slice( $lost, 0, 3 ) );
