"""Trade lists with the oddities that lists of real accounts have; each was counted by hand.

Parts that were filled before an order was cancelled, combinations and their legs, options that were assigned, rows
taken back, names of securities that sound like no trade, several accounts, and what stands above and below a list.
"""

# ruff: noqa: E501 - rows stand as brokers write them

from __future__ import annotations

from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest

from apex_cli.core.adapters.files.executions.execution_files import read_executions
from apex_cli.core.errors import InputError

NEW_YORK = ZoneInfo("America/New_York")


class Case(NamedTuple):
    """A list, and what is right."""

    text: str
    right: int | tuple[str, ...] | str
    """How many trades, or which ones; what a refusal says."""

    name: str = "trades.csv"


CASES = {
    "webull partial then cancelled": Case(
        """\
Name,Symbol,Side,Status,Filled,Total Qty,Price,Avg Price,Time-in-Force,Placed Time,Filled Time
"AMC, Ent",AMC,Buy,Cancelled,40,100,@5.00,5.02,DAY,03/13/2026 09:31:00 EDT,03/13/2026 09:31:05 EDT
AMC,AMC,Sell,Partially Filled,40,100,@5.30,5.31,DAY,03/13/2026 10:00:00 EDT,03/13/2026 10:00:02 EDT
AMC,AMC,Short,Filled,10,10,@5.30,5.31,DAY,03/13/2026 10:05:00 EDT,03/13/2026 10:05:02 EDT
AMC,AMC,Sell,Failed,0,100,@5.30,,DAY,03/13/2026 10:05:00 EDT,
AMC,AMC,Sell,Pending,0,100,@5.30,,DAY,03/13/2026 10:05:00 EDT,
""",
        ("03-13 09:31 AMC BUY 40", "03-13 10:00 AMC SELL 40", "03-13 10:05 AMC SELL 10"),
    ),
    "webull options leg": Case(
        """\
Name,Symbol,Side,Status,Filled,Total Qty,Price,Avg Price,Time-in-Force,Placed Time,Filled Time
SPY Vertical,,Buy,Filled,1,1,@0.70,0.70,DAY,03/13/2026 09:31:00 EDT,03/13/2026 09:31:05 EDT
SPY260417C00600000,SPY260417C00600000,Buy,Filled,1,1,@2.00,2.00,DAY,03/13/2026 09:31:00 EDT,03/13/2026 09:31:05 EDT
SPY260417C00610000,SPY260417C00610000,Sell,Filled,1,1,@1.30,1.30,DAY,03/13/2026 09:31:00 EDT,03/13/2026 09:31:05 EDT
""",
        2,
    ),
    "tastytrade assignment stock leg": Case(
        """\
Date,Type,Sub Type,Action,Symbol,Instrument Type,Description,Value,Quantity,Average Price,Commissions,Fees,Multiplier,Root Symbol,Underlying Symbol,Expiration Date,Strike Price,Call or Put,Order #,Total,Currency
2026-03-13T17:00:00-0400,Receive Deliver,Assignment,,SPY   260313P00600000,Equity Option,Removal of 1 SPY 03/13/26 Put 600.00 due to assignment,0.00,1,0.00,,0.00,100,SPY,SPY,3/13/26,600,PUT,,0.00,USD
2026-03-13T17:00:00-0400,Receive Deliver,Buy to Open,BUY_TO_OPEN,SPY,Equity,Buy to Open 100 SPY @ 600.00,"-60,000.00",100,-600.00,,-5.00,,,,,,,,"-60,005.00",USD
2026-03-13T10:00:00-0400,Trade,Sell to Open,SELL_TO_OPEN,SPY   260313P00600000,Equity Option,Sold 1 SPY 03/13/26 Put 600.00 @ 2.00,200.00,1,200.00,-1.00,-0.14,100,SPY,SPY,3/13/26,600,PUT,1,198.86,USD
2026-03-13T09:59:00-0400,Trade,Buy,BUY,/MESM6,Future,Bought 1 /MESM6 @ 5000.00,0.00,1,5000.00,-0.85,-0.37,5,,/MES,,,,2,-1.22,USD
2026-03-12T09:59:00-0400,Receive Deliver,Forward Split,BUY_TO_OPEN,NVDA,Equity,Forward split,0,900,0,,0,,,,,,,,0,USD
""",
        ("03-13 09:59 /MESM6@fut BUY 1", "03-13 10:00 SPY@options 2026-03-13 P600 SELL 1"),
    ),
    "tastytrade legacy": Case(
        """\
Date/Time,Transaction Code,Transaction Subcode,Symbol,Buy/Sell,Open/Close,Quantity,Expiration Date,Strike,Call/Put,Price,Fees,Amount,Description,Account Reference
01/29/2018 3:10 PM,Trade,Sell to Open,BIDU,Sell,Open,1,03/16/2018,250,C,4.00,0.152,400,Sold 1 BIDU 03/16/18 Call 250.00 @ 4.00,Individual...39
01/29/2018 3:09 PM,Trade,Buy to Open,AAPL,Buy,Open,10,,,,170.00,0.1,-1700,Bought 10 AAPL @ 170.00,Individual...39
01/26/2018 5:00 PM,Receive Deliver,Assignment,BIDU,,,1,01/26/2018,250,P,0,5,0,Removal of option due to assignment,Individual...39
01/26/2018 5:00 PM,Receive Deliver,Buy to Open,BIDU,Buy,Open,100,,,,250,5,-25000,Buy to Open 100 BIDU @ 250.00,Individual...39
01/23/2018 2:32 PM,Money Movement,Deposit,,,,0,,,,,0,1000,ACH DEPOSIT,Individual...39
""",
        2,
    ),
    "alpaca activities partial with cum_qty": Case(
        """\
activity_type,cum_qty,id,leaves_qty,order_id,order_status,price,qty,side,symbol,transaction_time,type
FILL,40,1,60,o1,partially_filled,100,40,buy,AAPL,2026-03-13T14:00:00.1Z,partial_fill
FILL,100,2,0,o1,filled,100,60,buy,AAPL,2026-03-13T14:00:01.1Z,fill
FILL,100,3,0,o2,filled,101,100,sell,AAPL,2026-03-13T15:00:01.1Z,fill
DIV,,4,,,,,,,KO,,
""",
        ("03-13 10:00 AAPL BUY 40", "03-13 10:00 AAPL BUY 60", "03-13 11:00 AAPL SELL 100"),
    ),
    "alpaca orders csv": Case(
        """\
id,client_order_id,created_at,updated_at,submitted_at,filled_at,expired_at,canceled_at,asset_class,symbol,qty,filled_qty,filled_avg_price,order_type,side,time_in_force,limit_price,stop_price,status
1,a,2026-03-13T14:00:00Z,2026-03-13T14:00:05Z,2026-03-13T14:00:00Z,2026-03-13T14:00:05Z,,,us_equity,AAPL,100,100,100.1,market,buy,day,,,filled
2,b,2026-03-13T15:00:00Z,2026-03-13T15:00:05Z,2026-03-13T15:00:00Z,2026-03-13T15:00:05Z,,2026-03-13T15:10:00Z,us_equity,AAPL,100,30,100.1,limit,sell,day,100,,canceled
3,c,2026-03-13T15:20:00Z,2026-03-13T15:20:05Z,2026-03-13T15:20:00Z,,,2026-03-13T15:30:00Z,us_equity,AAPL,70,0,,limit,sell,day,100,,canceled
4,d,2026-03-13T15:20:00Z,2026-03-13T15:20:05Z,2026-03-13T15:20:00Z,,,,us_equity,AAPL,70,0,,limit,sell,day,100,,new
""",
        ("03-13 10:00 AAPL BUY 100", "03-13 11:00 AAPL SELL 30"),
    ),
    "ib_insync fills with cumQty": Case(
        """\
execId,time,acctNumber,exchange,side,shares,price,permId,clientId,orderId,liquidation,cumQty,avgPrice,symbol,secType
0001.01,2026-03-13 14:31:22+00:00,DU1,ARCA,BOT,40.0,187.25,1,0,5,0,40.0,187.25,AAPL,STK
0002.01,2026-03-13 14:31:23+00:00,DU1,ARCA,BOT,60.0,187.25,1,0,5,0,100.0,187.25,AAPL,STK
0003.01,2026-03-13 15:31:23+00:00,DU1,ARCA,SLD,100.0,187.25,1,0,6,0,100.0,187.25,AAPL,STK
""",
        ("03-13 10:31 AAPL BUY 40.0", "03-13 10:31 AAPL BUY 60.0", "03-13 11:31 AAPL SELL 100.0"),
    ),
    "tws log with combo": Case(
        """\
Action,Quantity,Symbol,Underlying,Price,Currency,Time,Date,Exch.,Security Type,Order Ref.,Commission,Key,Account
BOT,1,SPY Apr17 '26 600/610 Call,SPY,0.70,USD,10:31:22,20260313,SMART,BAG,,,0002.01.00,U1234567
BOT,1,SPY APR 17 '26 600 Call,SPY,2.00,USD,10:31:22,20260313,CBOE,OPT,,1.00,0002.01.01,U1234567
SLD,1,SPY APR 17 '26 610 Call,SPY,1.30,USD,10:31:22,20260313,CBOE,OPT,,1.00,0002.01.02,U1234567
""",
        ("03-13 10:31 SPY@options 2026-04-17 C600 BUY 1", "03-13 10:31 SPY@options 2026-04-17 C610 SELL 1"),
    ),
    "tradestation partial UROut": Case(
        """\
Account,Order #,Symbol,Type,Qty,Qty Filled,Avg Fill Price,Status,Entered,Filled Time
SIM1,1,AMC,Buy,100,40,5.00,Partial Fill / UROut,3/13/2026 9:30:58 AM,3/13/2026 9:31:05 AM
SIM1,2,AMC,Sell,40,40,5.30,Filled,3/13/2026 9:59:00 AM,3/13/2026 10:00:02 AM
SIM1,3,AMC,Sell Short,50,20,5.2,UROut,3/13/2026 11:00:00 AM,3/13/2026 11:00:02 AM
SIM1,4,AMC,Buy to Cover,20,0,,Rejected,3/13/2026 11:00:00 AM,
SIM1,5,AMC,Buy to Cover,20,0,,Expired,3/13/2026 11:00:00 AM,
""",
        ("03-13 09:31 AMC BUY 40", "03-13 10:00 AMC SELL 40", "03-13 11:00 AMC SELL 20"),
    ),
    "fidelity variety": Case(
        """\
\ufeff


Run Date,Action,Symbol,Description,Type,Quantity,Price ($),Commission ($),Fees ($),Accrued Interest ($),Amount ($),Cash Balance ($),Settlement Date
 03/13/2026, YOU SOLD SHORT SALE AMC ENTERTAINMENT (AMC) (Short), AMC, AMC ENTERTAINMENT,Short,-50,5.3,,0.02,,264.98,1029.98,03/16/2026
 03/13/2026, YOU BOUGHT SHORT COVER AMC ENTERTAINMENT (AMC) (Short), AMC, AMC ENTERTAINMENT,Short,50,5.1,,,,-255,1029.98,03/16/2026
 03/13/2026, YOU SOLD CLOSING TRANSACTION CALL (SPY) SPDR S&P500 APR 17 26 $600 (100 SHS) (Margin), -SPY260417C600,CALL (SPY) SPDR S&P500 APR 17 26 $600 (100 SHS),Margin,-1,3,0.65,0.02,,299.33,1299,03/16/2026
 03/12/2026, YOU BOUGHT OPENING TRANSACTION CALL (SPY) SPDR S&P500 APR 17 26 $600 (100 SHS) (Margin), -SPY260417C600,CALL (SPY) SPDR S&P500 APR 17 26 $600 (100 SHS),Margin,1,2,0.65,0.02,,-200.67,1000,03/13/2026
 03/12/2026, ASSIGNED as of Mar-11-2026 PUT (F) FORD MAR 11 26 $10 (100 SHS) (Margin), -F260311P10,PUT (F),Margin,1,,,,,,,
 03/12/2026, YOU BOUGHT ASSIGNED PUTS AS OF 03-11-26 FORD MTR CO (F) (Margin), F,FORD MTR CO,Margin,100,10,,,,-1000,0,03/13/2026
 03/12/2026, EXPIRED CALL (F) FORD MAR 11 26 $12 (100 SHS) as of Mar-11-2026 (Margin), -F260311C12,CALL (F),Margin,-1,,,,,,,
 03/12/2026, REINVESTMENT FIDELITY GOVERNMENT MONEY MARKET (SPAXX) (Cash), SPAXX, FIDELITY GOVERNMENT MONEY MARKET,Cash,0.5,1,,,,-0.5,,
 03/12/2026, DIVIDEND RECEIVED KO (KO) (Cash), KO,COCA COLA,Cash,0,,,,,12,,
 03/12/2026, Electronic Funds Transfer Received (Cash), , No Description,Cash,0,,,,,500,,

"The data and information in this spreadsheet is provided to you solely for your use and is not for distribution. The spreadsheet is provided for"
"informational purposes only, and is not intended to provide advice, nor should it be construed as an offer to sell"

Date downloaded 03/14/2026 9:55 am
""",
        4,
    ),
    "fidelity accounts history two accounts": Case(
        """\


Run Date,Account,Account Number,Action,Symbol,Description,Type,Quantity,Price ($),Commission ($),Fees ($),Accrued Interest ($),Amount ($),Settlement Date
03/13/2026,"Individual - TOD","Z12345678","YOU SOLD AMC (AMC) (Margin)",AMC,"AMC ENTERTAINMENT",Margin,-100,5.3,,0.02,,529.98,03/16/2026
03/13/2026,"ROTH IRA","200000001","YOU BOUGHT AMC (AMC) (Cash)",AMC,"AMC ENTERTAINMENT",Cash,100,5,,,,-500,03/16/2026
""",
        "holds 2 accounts",
    ),
    "schwab variety": Case(
        """\
"Date","Action","Symbol","Description","Quantity","Price","Fees & Comm","Amount"
"03/13/2026","Sell Short","AMC","AMC ENTERTAINMENT","(100)","$5.30","$0.05","$529.95"
"03/13/2026","Buy to Cover","AMC","AMC ENTERTAINMENT","100","$5.00","","-$500.00"
"03/13/2026","Sell to Close","SPY 04/17/2026 600.00 C","CALL SPDR S&P500","1","$3.00","$0.66","$299.34"
"03/13/2026","Reinvest Shares","KO","COCA COLA CO","0.1921","$62.47","","-$12.00"
"03/13/2026","Cancel Buy","F","FORD","10","$10.00","","$100.00"
"03/12/2026 as of 03/11/2026","Assigned","F 03/11/2026 10.00 P","PUT FORD","1","","",""
"03/12/2026 as of 03/11/2026","Expired","F 03/11/2026 12.00 C","CALL FORD","1","","",""
"03/12/2026","Exchange or Exercise","F 03/11/2026 12.00 C","CALL FORD","-1","","",""
"03/12/2026","Stock Split","NVDA","NVIDIA","900","","",""
"03/12/2026","Journaled Shares","NVDA","NVIDIA","-900","","",""
"03/12/2026","Buy","F","FORD","10","$10.00","","-$100.00"
"Transactions Total","","","","","","","$126.29"
""",
        3,
    ),
    "schwab json": Case(
        """\
{"FromDate":"03/01/2026","ToDate":"03/14/2026","TotalTransactionsAmount":"$100.00","BrokerageTransactions":[{"Date":"03/13/2026","Action":"Sell","Symbol":"AMC","Description":"AMC","Quantity":"1,050","Price":"$5.30","Fees & Comm":"$0.05","Amount":"$5564.95","AcctgRuleCd":"1"},{"Date":"03/13/2026","Action":"Buy","Symbol":"AMC","Description":"AMC","Quantity":"1,050","Price":"$5.00","Fees & Comm":"","Amount":"-$5250.00","AcctgRuleCd":"1"},{"Date":"03/12/2026","Action":"Credit Interest","Symbol":"","Description":"INT","Quantity":"","Price":"","Fees & Comm":"","Amount":"$1.00","AcctgRuleCd":"1"}]}""",
        2,
        "s.json",
    ),
    "json with our names but for the time": Case(
        """\
[{"symbol":"AMC","side":"BUY","quantity":"10","price":"5","executed_at":"2026-03-13T10:00:00-04:00"}]""",
        1,
        "t.json",
    ),
    "schwab title line": Case(
        """\
"Transactions  for account Individual XXXX-1234 as of 03/14/2026 10:00:00 ET"
"Date","Action","Symbol","Description","Quantity","Price","Fees & Comm","Amount",
"03/13/2026","Sell","AMC","AMC ENTERTAINMENT","1,050","$5.30","$0.05","$5564.95",
"03/13/2026","Buy","AMC","AMC ENTERTAINMENT","1,050","$5.00","","-$5250.00",
""",
        2,
    ),
    "robinhood cancels and assigned": Case(
        """\
"Activity Date","Process Date","Settle Date","Instrument","Description","Trans Code","Quantity","Price","Amount"
"3/13/2026","3/13/2026","3/16/2026","AMC","AMC Entertainment
CUSIP: 00165C302","Sell","100","$5.30","$530.00"
"3/13/2026","3/13/2026","3/16/2026","AMC","AMC Entertainment
CUSIP: 00165C302","Buy","100","$5.00","($500.00)"
"3/13/2026","3/13/2026","3/16/2026","SPY","SPY 4/17/2026 Put $600.00","STO","2","$2.00","$399.00"
"3/13/2026","3/13/2026","3/16/2026","SPY","SPY 4/17/2026 Put $600.00","BTC","2","$1.00","($201.00)"
"3/13/2026","3/13/2026","3/16/2026","F","F 3/13/2026 Put $10.00","OASGN","1","",""
"3/13/2026","3/13/2026","3/16/2026","F","Ford
Option Assigned","Buy","100","$10.00","($1,000.00)"
"3/13/2026","3/13/2026","3/16/2026","KO","Coca-Cola
CUSIP: 191216100
Dividend Reinvestment","Buy","0.05","$60.00","($3.00)"
"3/13/2026","3/13/2026","3/16/2026","GE","Cash Div: R/D 2026","CDIV","","","$1.00"
"3/13/2026","3/13/2026","3/16/2026","NVDA","Split","SPL","900","",""
"3/13/2026","3/13/2026","3/16/2026","BTC","Bitcoin","Buy","0.0105","$60,000.00","($630.00)"
"","","","","","","","","The data provided is for informational purposes only. Please consult a professional tax service or personal tax advisor if you need assistance."
""",
        5,
    ),
    "ib statement, a trade without symbol and quantity": Case(
        """\
Statement,Header,Field Name,Field Value
Trades,Header,DataDiscriminator,Asset Category,Currency,Symbol,Date/Time,Quantity,T. Price,Code
Trades,Data,Order,Stocks,USD,AMC,"2026-03-13, 10:46:38",100,39.83,O
Trades,Data,Order,Stocks,USD,,"2026-03-13, 11:46:38",,39.83,C
""",
        "quantity: is missing",
    ),
    "ib statement, a trade without its quantity": Case(
        """\
Statement,Header,Field Name,Field Value
Trades,Header,DataDiscriminator,Asset Category,Currency,Symbol,Date/Time,Quantity,T. Price,Code
Trades,Data,Order,Stocks,USD,AMC,"2026-03-13, 10:46:38",,39.83,O
""",
        "quantity: is missing",
    ),
    "ib statement with cancel": Case(
        """\
Statement,Header,Field Name,Field Value
Statement,Data,BrokerName,Interactive Brokers LLC
Statement,Data,Period,"March 13, 2026"
Account Information,Header,Field Name,Field Value
Account Information,Data,Account,U1234567
Trades,Header,DataDiscriminator,Asset Category,Currency,Symbol,Date/Time,Quantity,T. Price,C. Price,Proceeds,Comm/Fee,Basis,Realized P/L,MTM P/L,Code
Trades,Data,Order,Stocks,USD,AMC,"2026-03-13, 10:46:38","1,050",39.83,,,,,,,O
Trades,Data,Order,Stocks,USD,AMC,"2026-03-13, 11:46:38","-1,050",39.83,,,,,,,C;P
Trades,Data,Order,Stocks,USD,AMC,"2026-03-13, 11:46:38","1,050",39.83,,,,,,,Ca
Trades,Data,Order,Stocks,USD,IBM,"2026-03-13, 11:46:38",-10,250,,,,,,,A;C
Trades,Data,Order,Stocks,USD,SPY,"2026-03-13, 12:46:38",5,600,,,,,,,O;P
Trades,Data,ClosedLot,Stocks,USD,SPY,2026-03-13,5,600,,,,,,,LT
Trades,SubTotal,,Stocks,USD,AMC,,0,,,,,,,,
Trades,Header,DataDiscriminator,Asset Category,Currency,Symbol,Date/Time,Quantity,T. Price,,Proceeds,Comm in USD,,,MTM in USD,Code
Trades,Data,Order,Forex,CAD,USD.CAD,"2026-03-13, 09:30:00","-6,955",1.3,,9041,-2,,,0,
Trades,Header,DataDiscriminator,Asset Category,Currency,Symbol,Date/Time,Quantity,T. Price,C. Price,Proceeds,Comm/Fee,Basis,Realized P/L,MTM P/L,Code
Trades,Data,Order,Equity and Index Options,USD,SPY 17APR26 600 C,"2026-03-13, 12:00:00",-1,2,2,200,-1,,,0,O
Trades,Data,Order,Equity and Index Options,USD,SPY 13MAR26 600 C,"2026-03-13, 16:20:00",1,0,0,0,0,,,0,C;Ep
""",
        (
            "03-13 09:30 USD.CAD@forex SELL 6955",
            "03-13 10:46 AMC BUY 1050",
            "03-13 12:00 SPY@options 2026-04-17 C600 SELL 1",
            "03-13 12:46 SPY BUY 5",
        ),
    ),
    "ib transaction history newer": Case(
        """\
Statement,Header,Field Name,Field Value
Statement,Data,Title,Transaction History
Statement,Data,Period,"March 2, 2026 - March 13, 2026"
Summary,Header,Field Name,Field Value
Summary,Data,Base Currency,USD
Transaction History,Header,Date,Account,Description,Transaction Type,Symbol,Quantity,Price,Price Currency,Gross Amount ,Commission,Net Amount,Exchange Rate
Transaction History,Data,2026-03-13,U***4567,AMC,Sell,AMC,-50.0,33.8,USD,1690.0,-1.0,1689.0,1
Transaction History,Data,2026-03-13,U***4567,SPY 17APR26 600 C,Buy,SPY   260417C00600000,1.0,2,USD,-200,-1.0,-201,1
Transaction History,Data,2026-03-13,U***4567,F 13MAR26 10 P,Assignment,F     260313P00010000,1.0,-,USD,0,-,0,1
Transaction History,Data,2026-03-13,U***4567,Buy 100 FORD (Assignment),Assignment,F,100.0,10,USD,-1000,-,-1000,1
Transaction History,Data,2026-03-12,U***4567,AMC(US) Cash Dividend,Dividend,AMC,-,-,-,0.5,-,0.5,1
Transaction History,Data,2026-03-12,U***4567,EUR.USD,Forex Trade Component,EUR.USD,1000,1.1,USD,0.5,-,0.5,1
""",
        2,
    ),
    "tos with futures and am/pm": Case(
        """\
\ufeffAccount Statement for 12345678SCHW (Individual) since 3/26/26 through 3/26/26

Account Order History
Notes,,Time Placed,Spread,Side,Qty,Pos Effect,Symbol,Exp,Strike,Type,PRICE,,TIF,Status
,,3/26/26 10:05:00,STOCK,BUY,+75,TO OPEN,NAVN,,,STOCK,11.00,LMT,DAY,CANCELED

Account Trade History
,Exec Time,Spread,Side,Qty,Pos Effect,Symbol,Exp,Strike,Type,Price,Net Price,Order Type
,3/26/26 12:39:55,STOCK,SELL,-75,TO CLOSE,NAVN,,,STOCK,11.5,11.5,LMT
,3/26/26 11:44:32,STOCK,BUY,+75,TO OPEN,NAVN,,,STOCK,11.35,11.35,LMT
,3/26/26 11:00:00,COVERED,SELL,-1,TO OPEN,SPY,17 APR 26,600,CALL,2.00,598.00,LMT
,,,BUY,+100,TO OPEN,SPY,,,STOCK,600,DEBIT,
,3/26/26 10:00:01,FUTURE,BUY,+1,TO OPEN,/ESM26,,,FUTURE,5000.25,5000.25,MKT
,3/26/26 10:00:05,SINGLE,BUY,"+1,000",TO OPEN,F,17 APR 26,10,PUT,.35,.35,LMT

Equities
Symbol,Description,Qty,Trade Price,Mark,Mark Value
NAVN,NAVAN,+75,11.35,11.5,$862.5
OVERALL TOTALS,,,,,$862.5
""",
        6,
    ),
    "empty trades tos": Case(
        """\
Account Statement for 12345678SCHW (Individual) since 3/26/26 through 3/26/26

Account Trade History
,Exec Time,Spread,Side,Qty,Pos Effect,Symbol,Exp,Strike,Type,Price,Net Price,Order Type

Equities
Symbol,Description,Qty,Trade Price,Mark,Mark Value
""",
        "holds no trade that counts",
    ),
    "td ameritrade": Case(
        """\
DATE,TRANSACTION ID,DESCRIPTION,QUANTITY,SYMBOL,PRICE,COMMISSION,AMOUNT,REG FEE,SHORT-TERM RDM FEE,FUND REDEMPTION FEE, DEFERRED SALES CHARGE
03/13/2023,123,Bought 100 AMC @ 5.00,100,AMC,5.00,0.00,-500.00,,,,
03/13/2023,124,Sold 100 AMC @ 5.30,100,AMC,5.30,0.00,530.00,0.01,,,
03/14/2023,125,REMOVAL OF OPTION DUE TO EXPIRATION (F Mar 10 2023 12.0 Put),1,F Mar 10 2023 12.0 Put,,,0.00,,,,
03/14/2023,127,CLIENT REQUESTED ELECTRONIC FUNDING RECEIPT (FUNDS NOW),,,,,1000.00,,,,
03/14/2023,128,Bought 10 SPLIT TAX FEE CORP @ 5.00,10,STF,5.00,0.00,-50.00,,,,
***END OF FILE***
""",
        ("03-13 09:30 AMC BUY 100", "03-13 09:30 AMC SELL 100", "03-14 09:30 STF BUY 10"),
    ),
    "etrade": Case(
        """\
For Account:,####1234

TransactionDate,TransactionType,SecurityType,Symbol,Quantity,Amount,Price,Commission,Description
03/13/26,Sold,EQ,AMC,-100,529.98,5.3,0,AMC ENTERTAINMENT
03/13/26,Bought,EQ,AMC,100,-500,5,0,AMC ENTERTAINMENT
03/13/26,Bought To Open,OPTN,SPY Apr 17 '26 $600 Call,1,-200.5,2,0.5,SPY CALL
03/13/26,Dividend,EQ,KO,0,12,0,0,KO
""",
        3,
    ),
    "own csv semicolon": Case(
        """\
Time;Symbol;Side;Quantity
2026-03-13T10:00:00-04:00;AMC;BUY;1.000,5
2026-03-13T10:00:00-04:00;AMC;SELL;2,5
""",
        ("03-13 10:00 AMC BUY 1000.5", "03-13 10:00 AMC SELL 2.5"),
    ),
    "dup header mid": Case(
        """\
Time,Symbol,Side,Quantity
2026-03-13T10:00:00-04:00,AMC,BUY,1
Time,Symbol,Side,Quantity
2026-03-13T11:00:00-04:00,AMC,SELL,1
""",
        2,
    ),
    "flex fracshare": Case(
        """\
<FlexQueryResponse queryName="q" type="AF"><FlexStatements count="1"><FlexStatement accountId="U1" fromDate="20260313" toDate="20260313" period="LastBusinessDay" whenGenerated="20260314;010101"><Trades><Trade accountId="U1" assetCategory="STK" symbol="AAPL" dateTime="20260313;103000" buySell="BUY" quantity="10" ibExecID="1" transactionType="ExchTrade" /><Trade accountId="U1" assetCategory="STK" symbol="AAPL" dateTime="20260313;202500" buySell="SELL" quantity="-0.5" ibExecID="2" transactionType="FracShare" /></Trades></FlexStatement></FlexStatements></FlexQueryResponse>""",
        1,
        "f.xml",
    ),
    "flex BUY (Ca.)": Case(
        """\
<FlexQueryResponse queryName="q" type="AF"><FlexStatements count="1"><FlexStatement accountId="U1" fromDate="20260313" toDate="20260313" period="LastBusinessDay" whenGenerated="20260314;010101"><Trades><Trade accountId="U1" assetCategory="STK" symbol="AAPL" dateTime="20260313;103000" buySell="BUY" quantity="10" ibExecID="1" transactionType="ExchTrade" tradeID="11" transactionID="1"/><Trade accountId="U1" assetCategory="STK" symbol="AAPL" dateTime="20260313;103000" buySell="BUY (Ca.)" quantity="-10" ibExecID="1" transactionType="TradeCancel" tradeID="11" origTradeID="11" transactionID="2"/><Trade accountId="U1" assetCategory="STK" symbol="AAPL" dateTime="20260313;113000" buySell="SELL" quantity="-10" ibExecID="3" transactionType="ExchTrade" tradeID="12" transactionID="3"/></Trades></FlexStatement></FlexStatements></FlexQueryResponse>""",
        1,
        "f.xml",
    ),
    "flex TradeCorrect": Case(
        """\
<FlexQueryResponse queryName="q" type="AF"><FlexStatements count="1"><FlexStatement accountId="U1" fromDate="20260313" toDate="20260313" period="LastBusinessDay" whenGenerated="20260314;010101"><Trades><Trade accountId="U1" assetCategory="STK" symbol="AAPL" dateTime="20260313;103000" buySell="BUY" quantity="10" ibExecID="1" transactionType="ExchTrade" tradeID="11" transactionID="1"/><Trade accountId="U1" assetCategory="STK" symbol="AAPL" dateTime="20260313;103000" buySell="BUY (Ca.)" quantity="-10" ibExecID="1" transactionType="TradeCancel" tradeID="11" origTradeID="11" transactionID="2"/><Trade accountId="U1" assetCategory="STK" symbol="AAPL" dateTime="20260313;103000" buySell="BUY" quantity="9" ibExecID="1" transactionType="TradeCorrect" tradeID="13" transactionID="3"/></Trades></FlexStatement></FlexStatements></FlexQueryResponse>""",
        1,
        "f.xml",
    ),
    "flex empty trades with period": Case(
        """\
<FlexQueryResponse queryName="q" type="AF"><FlexStatements count="1"><FlexStatement accountId="U1" fromDate="20260313" toDate="20260313" period="LastBusinessDay" whenGenerated="20260314;010101"><Trades></Trades></FlexStatement></FlexStatements></FlexQueryResponse>""",
        0,
        "f.xml",
    ),
    "flex cfd bond fund": Case(
        """\
<FlexQueryResponse queryName="q" type="AF"><FlexStatements count="1"><FlexStatement accountId="U1" fromDate="20260313" toDate="20260313" period="LastBusinessDay" whenGenerated="20260314;010101"><Trades><Trade accountId="U1" assetCategory="BOND" symbol="US-T" dateTime="20260313;103000" buySell="BUY" quantity="1000" ibExecID="1" transactionType="ExchTrade" /><Trade accountId="U1" assetCategory="FUND" symbol="VFINX" dateTime="20260313" buySell="BUY" quantity="1" ibExecID="2" transactionType="ExchTrade" /><Trade accountId="U1" assetCategory="CRYPTO" symbol="BTC" dateTime="20260313;103000" buySell="BUY" quantity="0.001" ibExecID="3" transactionType="ExchTrade" /><Trade accountId="U1" assetCategory="CASH" symbol="EUR.USD" dateTime="20260313;103000" buySell="BUY" quantity="1000" ibExecID="4" transactionType="ExchTrade" /></Trades></FlexStatement></FlexStatements></FlexQueryResponse>""",
        3,
        "f.xml",
    ),
    "flex exchtime EDT": Case(
        """\
<FlexQueryResponse queryName="q" type="AF"><FlexStatements count="1"><FlexStatement accountId="U1" fromDate="20260313" toDate="20260313" period="LastBusinessDay" whenGenerated="20260314;010101"><Trades><Trade accountId="U1" assetCategory="STK" symbol="AAPL" dateTime="2026-03-13;10:30:00 EDT" buySell="BUY" quantity="10" ibExecID="1" transactionType="ExchTrade" /><Trade accountId="U1" assetCategory="STK" symbol="AAPL" dateTime="2026-03-13;11:30:00 EDT" buySell="SELL" quantity="-10" ibExecID="2" transactionType="ExchTrade" /></Trades></FlexStatement></FlexStatements></FlexQueryResponse>""",
        2,
        "f.xml",
    ),
    "flex with thousands in csv": Case(
        """\
"ClientAccountID","AssetClass","Symbol","DateTime","Buy/Sell","Quantity","IBExecID","LevelOfDetail"
"U1","STK","ABC","20260713;103000","BUY","1,000","1","EXECUTION"
"U1","STK","ABC","20260713;113000","SELL","-1000","2","EXECUTION"
"U1","STK","ABC","","","0","","SYMBOL_SUMMARY"
""",
        2,
    ),
    "fidelity names that look like no trades": Case(
        """\
Run Date,Action,Symbol,Description,Type,Quantity,Price ($),Commission ($),Fees ($),Accrued Interest ($),Amount ($),Cash Balance ($),Settlement Date
 03/13/2026, YOU BOUGHT SCHWAB US DIVIDEND EQUITY ETF (SCHD) (Cash), SCHD,SCHWAB US DIVIDEND EQUITY ETF,Cash,10,30,,,,-300,,
 03/13/2026, YOU SOLD VANGUARD TAX-EXEMPT BOND ETF (VTEB) (Cash), VTEB,VANGUARD TAX-EXEMPT,Cash,-10,50,,,,500,,
 03/13/2026, YOU SOLD EXERCISED CALLS AS OF 03-13-26 FORD (F) (Margin), F,FORD,Margin,-100,12,,,,1200,,
""",
        2,
    ),
    "alpaca nested bracket orders": Case(
        """\
[{"id":"p","client_order_id":"a","filled_at":"2026-03-13T14:00:05Z","asset_class":"us_equity","symbol":"AAPL","qty":"10","filled_qty":"10","side":"buy","status":"filled","legs":[{"id":"t","client_order_id":"b","filled_at":"2026-03-13T15:00:05Z","asset_class":"us_equity","symbol":"AAPL","qty":"10","filled_qty":"10","side":"sell","status":"filled","legs":null},{"id":"s","client_order_id":"c","filled_at":null,"asset_class":"us_equity","symbol":"AAPL","qty":"10","filled_qty":"0","side":"sell","status":"canceled","legs":null}]}]""",
        2,
        "o.json",
    ),
    "alpaca nested oto": Case(
        """\
[{"id":"p","client_order_id":"a","filled_at":"2026-03-13T14:00:05Z","asset_class":"us_equity","symbol":"AAPL","qty":"10","filled_qty":"10","side":"buy","status":"filled","legs":[{"id":"t","client_order_id":"b","filled_at":"2026-03-13T15:00:05Z","asset_class":"us_equity","symbol":"AAPL","qty":"10","filled_qty":"10","side":"sell","status":"filled","legs":null}]}]""",
        2,
        "o.json",
    ),
    "tradestation json two legs": Case(
        """\
{"Orders":[{"AccountID":"1","Status":"FLL","StatusDescription":"Filled","OrderID":"9","OpenedDateTime":"2026-03-13T13:30:00Z","ClosedDateTime":"2026-03-13T13:31:00Z","Legs":[{"OpenOrClose":"Open","QuantityOrdered":"1","ExecQuantity":"1","QuantityRemaining":"0","BuyOrSell":"Buy","Symbol":"SPY 260417C600","AssetType":"STOCKOPTION"},{"OpenOrClose":"Open","QuantityOrdered":"1","ExecQuantity":"1","QuantityRemaining":"0","BuyOrSell":"Sell","Symbol":"SPY 260417C610","AssetType":"STOCKOPTION"}]},{"AccountID":"1","Status":"OUT","StatusDescription":"UROut","OrderID":"10","OpenedDateTime":"2026-03-13T14:30:00Z","ClosedDateTime":"2026-03-13T14:31:00Z","Legs":[{"OpenOrClose":"Open","QuantityOrdered":"100","ExecQuantity":"40","QuantityRemaining":"60","BuyOrSell":"Buy","Symbol":"AMC","AssetType":"STOCK"}]}]}""",
        3,
        "o.json",
    ),
    "ib trade confirmation": Case(
        """\
Statement,Header,Field Name,Field Value
Statement,Data,Title,Trade Confirmation Report
Statement,Data,Period,"March 13, 2026"
Trades,Header,DataDiscriminator,Acct ID,Symbol,Trade Date/Time,Settle Date,Exchange,Type,Quantity,Price,Proceeds,Comm,Fee,Order Type,Code
Trades,Data,Order,U***4567,AMC,"2026-03-13, 10:46:38",2026-03-16,-,BUY,"1,050",39.83,-1,-1,0,LMT,O
Trades,Data,Trade,U***4567,AMC,"2026-03-13, 10:46:38",2026-03-16,ARCA,BUY,50,39.83,-1,-1,0,LMT,O
Trades,Data,Trade,U***4567,AMC,"2026-03-13, 10:46:39",2026-03-16,NYSE,BUY,"1,000",39.83,-1,-1,0,LMT,O
Trades,SubTotal,,U***4567,AMC,,,,,"1,050",,,,,,
""",
        2,
    ),
    "ib statement consolidated two accounts": Case(
        """\
Statement,Header,Field Name,Field Value
Statement,Data,Period,"March 13, 2026"
Trades,Header,DataDiscriminator,Asset Category,Currency,Account,Symbol,Date/Time,Quantity,T. Price,C. Price,Proceeds,Comm/Fee,Basis,Realized P/L,MTM P/L,Code
Trades,Data,Order,Stocks,USD,U1111111,AMC,"2026-03-13, 10:46:38",10,39.83,,,,,,,O
Trades,Data,Order,Stocks,USD,U2222222,AMC,"2026-03-13, 10:46:38",-10,39.83,,,,,,,C
""",
        "holds 2 accounts",
    ),
    "ib statement german": Case(
        """\
Statement,Header,Feldname,Feldwert
Statement,Data,Zeitraum,"März 13, 2026"
Transaktionen,Header,DataDiscriminator,Vermögenswertkategorie,Währung,Symbol,Datum/Zeit,Menge,T.-Kurs,Schlusskurs,Erlös,Prov./Gebühr,Basis,Realisierter G&V,MTM-G&V,Code
Transaktionen,Data,Order,Aktien,USD,AMC,"2026-03-13, 10:46:38",10,39.83,,,,,,,O
""",
        ("03-13 10:46 AMC BUY 10",),
    ),
    "ib statement in Spanish, with orders, a lot and a total": Case(
        """\
Statement,Header,Nombre del campo,Valor del campo
Statement,Data,Period,"Diciembre 1, 2025 - Marzo 13, 2026"
Posiciones abiertas,Header,DataDiscriminator,Categoría de activo,Divisa,Símbolo,Cantidad,Mult,Precio de coste,Valor
Posiciones abiertas,Data,Summary,Acciones,USD,AMC,7,1,30,210
Operaciones,Header,DataDiscriminator,Categoría de activo,Divisa,Símbolo,Fecha/Hora,Cantidad,Precio trans.,Precio de cier.,Productos,Tarifa/com.,Básico,PyG realizadas,MTM P/G,Código
Operaciones,Data,Order,Acciones,USD,AMC,"2026-03-13, 10:46:38","1,050",39.83,39.16,-1991.5,-1,1992.5,0,-33.5,O
Operaciones,Data,ClosedLot,Acciones,USD,AMC,2026-03-13,"1,050",39.83,,,,,,,ST
Operaciones,Data,Order,Acciones,USD,AMC,"2026-03-13, 11:55:26","-1,050",33.8,33.94,1690,-1,-1992.5,-303,-7,C;P
Operaciones,Data,Order,Opciones,USD,SPY 13MAR26 600 C,"2026-03-13, 16:20:00",1,0,0,0,0,,,0,C;Ep
Operaciones,Data,Order,Opciones,USD,SPY 17APR26 600 C,"2026-03-13, 12:00:00",-1,2,2,200,-1,,,0,O
Operaciones,SubTotal,,Acciones,USD,AMC,,0,,,-301.5,-2.01,0,-303.51,-40.5,
""",
        ("03-13 10:46 AMC BUY 1050", "03-13 11:55 AMC SELL 1050", "03-13 12:00 SPY@options 2026-04-17 C600 SELL 1"),
    ),
    "ib statement in French, with accounts": Case(
        """\
Statement,Header,Nom champ,Valeur champ
Transactions,Header,DataDiscriminator,Catégorie d'actifs,Devise,Compte,Symbole,Date/Heure,Quantité,Prix trans.,Cours de clôt.,Produit,Comm/Tarif,Base,P/L réalisé,P/L MTM,Code
Transactions,Data,Order,Actions,USD,U18285124,AMC,"2026-03-13, 10:46:38",50,174,172.42,-174,-0.35,174.35,0,-1.58,O
Transactions,Data,Order,Actions,USD,U20453710,AMC,"2026-03-13, 11:55:26",-50,201.02,201.08,201.02,-0.35,-174.35,26.32,-0.06,C
""",
        "holds 2 accounts",
    ),
    "ib statement in Chinese, where symbol and codes have one name": Case(
        """\
\ufeffStatement,Header,域名称,域值
Statement,Data,Period,"三月 3, 2026 - 三月 13, 2026"
交易,Header,DataDiscriminator,资产分类,货币,代码,日期/时间,交易所,数量,交易价格,收盘价格,收益,佣金/税,基础,已实现的损益,按市值计算的损益,代码
交易,Data,Order,股票,USD,AMC,"2026-03-13, 10:46:38",-,7,170,168,-1190,-0.35,1190.35,0,0,O
交易,Data,Order,股票,USD,IBM,"2026-03-13, 11:35:28",NYSE,-14,174,168,-2436,-0.62,2436.62,0,0,C;A
交易,Data,Order,股票和指数期权,USD,SPY 17APR26 600 C,"2026-03-13, 12:00:00",-,-1,2,2,200,-1,,,0,O
""",
        ("03-13 10:46 AMC BUY 7", "03-13 12:00 SPY@options 2026-04-17 C600 SELL 1"),
    ),
    "ib statement without trades": Case(
        "Statement,Header,Field Name,Field Value\nStatement,Data,Title,Activity Statement\n"
        "Open Positions,Header,DataDiscriminator,Asset Category,Currency,Symbol,Quantity\n"
        "Open Positions,Data,Summary,Stocks,USD,AMC,7\n",
        "holds no trade that counts",
    ),
    "etrade of 2025": Case(
        """\
All Transactions Activity Types

Account Activity for b -1847 from Prior Year

Total:,-63559.99

Activity/Trade Date,Transaction Date,Settlement Date,Activity Type,Description,Symbol,Cusip,Quantity #,Price $,Amount $,Commission,Category,Note
03/13/26,03/13/26,03/13/26,Interest Income,MORGAN STANLEY BANK N.A.,MSBNK,--,,,0.09,0.0,--,--
03/13/26,03/13/26,03/16/26,Sold,AMC ENTERTAINMENT,AMC,--,-100.0,5.3,529.98,0.0,--,--
03/13/26,03/13/26,03/16/26,Bought,AMC ENTERTAINMENT,AMC,--,100.0,5.0,-500,0.0,--,--
03/12/26,03/13/26,03/16/26,Sold Short,PUT  IWM    03/27/26   260.000,IWM,--,-1.0,2.13,212.49,0.51,--,--
03/12/26,03/13/26,03/16/26,Bought To Open,CALL TSLA   03/27/26   380.000,TSLA,--,2.0,2.13,-426,0.51,--,--
03/03/26,03/03/26,02/28/26,Option Expired,CALL TSLA   02/28/25   380.000,TSLA,--,2.0,,0.0,0.0,--,--
03/02/26,03/02/26,02/27/26,Option Assigned,PUT  TSLA   02/28/25   370.000,TSLA,--,2.0,,0.0,0.0,--,--
02/20/26,02/20/26,02/20/26,Transfer,TRNSFR MARGIN TO CASH,--,--,,,-212.49,0.0,--,--

"Footer disclaimer, text"
""",
        (
            "03-12 09:30 IWM@options 2026-03-27 P260 SELL 1.0",
            "03-12 09:30 TSLA@options 2026-03-27 C380 BUY 2.0",
            "03-13 09:30 AMC BUY 100.0",
            "03-13 09:30 AMC SELL 100.0",
        ),
    ),
    "moomoo orders with further fills": Case(
        """\
Side,Symbol,Name,Order Price,Order Qty,Order Amount,Status,Filled@Avg Price,Order Time,Order Type,Markets,Currency,Fill Qty,Fill Price,Fill Amount,Fill Time,Markets,Currency
Buy,NVDA260417C200000,NVDA 04/17 $200 C,2.50,10,2500.00,Filled,10@2.55,"Apr 16, 2026 10:00:00 ET",Limit,US,USD,5,2.50,1250.00,"Apr 16, 2026 10:00:15 ET",US,USD
,,,,,,,,,,,,5,2.60,1300.00,"Apr 16, 2026 10:01:20 ET",US,USD
Short Sell,F260417P12500,F 04/17 $12.5 P,2.50,1,2500.00,Filled,1@2.55,"Apr 16, 2026 10:02:00 ET",Limit,US,USD,1,2.50,1250.00,"Apr 16, 2026 10:02:15 ET",US,USD
Sell,AMC,AMC,2.5,172,424.84,Filled,172@2.47,"Apr 16, 2026 11:51:04 ET",Limit,US,USD,172,2.47,424.84,"Apr 16, 2026 11:51:05 ET",US,USD
Buy,AMC,AMC,2.4,100,240,Cancelled,0@0.00,"Apr 16, 2026 12:51:04 ET",Limit,US,USD,,,,,,
""",
        (
            "04-16 10:00 NVDA@options 2026-04-17 C200 BUY 5",
            "04-16 10:01 NVDA@options 2026-04-17 C200 BUY 5",
            "04-16 10:02 F@options 2026-04-17 P12.5 SELL 1",
            "04-16 11:51 AMC SELL 172",
        ),
    ),
    "vanguard": Case(
        """\
Account Number,Trade Date,Settlement Date,Transaction Type,Transaction Description,Investment Name,Symbol,Shares,Share Price,Principal Amount,Commission Fees,Net Amount,Accrued Interest,Account Type,
12345678,2026-03-13,2026-03-16,Buy,Buy,AMC,AMC,100.0000,5.00,-500.00,0.00,-500.00,0.00,CASH,
12345678,2026-03-13,2026-03-13,Reinvestment,Dividend Reinvestment,X,VTI,1.5,100,-150,0.00,-150,0.00,CASH,
12345678,2026-03-13,2026-03-13,Sweep in,Sweep,VANGUARD FEDERAL,VMFXX,0.0,1.0,1,0.00,1,0.0,CASH,
""",
        ("03-13 09:30 AMC BUY 100.0000",),
    ),
    "alpaca orders with the names that Python writes": Case(
        "id,filled_at,symbol,side,qty,filled_qty,status\n1,2026-03-13 14:00:05+00:00,AAPL,OrderSide.BUY,10,10,OrderStatus.FILLED\n"
        "2,2026-03-13 15:00:05+00:00,AAPL,OrderSide.SELL,10,0,OrderStatus.CANCELED\n",
        ("03-13 10:00 AAPL BUY 10",),
    ),
    "tos index option that settles in the morning": Case(
        "Account Trade History\n,Exec Time,Spread,Side,Qty,Pos Effect,Symbol,Exp,Strike,Type,Price,Net Price,Order Type\n"
        ",3/26/26 10:44:32,SINGLE,SELL,-1,TO OPEN,SPX,17 APR 26 [AM],6000,CALL,5,3,LMT\n",
        ("03-26 10:44 SPX@options 2026-04-17 C6000 SELL 1",),
    ),
    "flex csv with unbundled commissions, which repeat the trades": Case(
        """\
"ClientAccountID","AssetClass","Symbol","DateTime","Exchange","Buy/Sell","Quantity","Price","TradeID","TotalCommission"
"U1","STK","ABC","20260713;103000","ARCA","BUY","100","16","1","-1"
"ClientAccountID","AssetClass","Symbol","DateTime","TradeID","Buy/Sell","Quantity","IBExecID","LevelOfDetail"
"U1","STK","ABC","20260713;103000","1","BUY","100","1.1","EXECUTION"
""",
        ("07-13 10:30 ABC BUY 100",),
    ),
    "flex csv with a cancel that only Buy/Sell shows": Case(
        """\
"ClientAccountID","AssetClass","Symbol","DateTime","Buy/Sell","Quantity","IBExecID","LevelOfDetail"
"U1","STK","ABC","20260713;103000","BUY","100","1","EXECUTION"
"U1","STK","ABC","20260713;113000","SELL","-100","2","EXECUTION"
"U1","STK","ABC","20260713;113000","SELL (Ca.)","100","","EXECUTION"
""",
        ("07-13 10:30 ABC BUY 100",),
    ),
    "flex pipe": Case(
        """\
ClientAccountID|AssetClass|Symbol|DateTime|Buy/Sell|Quantity|IBExecID|LevelOfDetail
U1|STK|ABC|20260713;103000|BUY|100|1|EXECUTION
U1|STK|ABC|20260713;113000|SELL|-100|2|EXECUTION
""",
        2,
    ),
    "flex tab AM/PM": Case(
        """\
ClientAccountID	AssetClass	Symbol	Date/Time	Buy/Sell	Quantity	IBExecID	LevelOfDetail
U1	STK	ABC	07/13/2026;01:30:00 PM	BUY	100	1	EXECUTION
""",
        ("07-13 13:30 ABC BUY 100",),
    ),
    "own csv AM/PM ET": Case(
        """\
Time,Symbol,Side,Quantity
03/13/2026 1:30:05 PM ET,AMC,Buy,100
03/13/2026 2:30 PM EST,AMC,Sell,100
""",
        ("03-13 13:30 AMC BUY 100", "03-13 15:30 AMC SELL 100"),
    ),
    "own csv neg qty no side": Case(
        """\
Time,Symbol,Quantity
2026-03-13T13:30:05-04:00,AMC,100
2026-03-13T14:30:05-04:00,AMC,-100
""",
        "missing column side",
    ),
    "own csv side and neg qty disagree": Case(
        """\
Time,Symbol,Side,Quantity
2026-03-13T13:30:05-04:00,AMC,BUY,-100
""",
        "found -100 beside a purchase",
    ),
    "xml two statements": Case(
        """\
<FlexQueryResponse><FlexStatements count="2"><FlexStatement accountId="U1"><Trades><Trade accountId="U1" assetCategory="STK" symbol="A" dateTime="20260313;103000" buySell="BUY" quantity="1" ibExecID="1"/></Trades></FlexStatement><FlexStatement accountId="U2"><Trades><Trade accountId="U2" assetCategory="STK" symbol="A" dateTime="20260313;103000" buySell="SELL" quantity="-1" ibExecID="2"/></Trades></FlexStatement></FlexStatements></FlexQueryResponse>""",
        "holds 2 accounts",
        "f.xml",
    ),
    "tos paper statement": Case(
        """\
Paper Account Statement for D-12345678 (me) since 3/26/26 through 3/26/26


Filled Orders
,,Exec Time,Spread,Side,Qty,Pos Effect,Symbol,Exp,Strike,Type,Price,Net Price,Price Improvement,Order Type
,,3/26/26 12:39:55,STOCK,SELL,-75,TO CLOSE,NAVN,,,STOCK,11.5,11.5,-,LMT


Canceled Orders
Notes,,Time Canceled,Spread,Side,Qty,Pos Effect,Symbol,Exp,Strike,Type,PRICE,,TIF,Status
,,3/26/26 12:30:55,STOCK,BUY,+75,TO OPEN,NAVN,,,STOCK,11.0,LMT,DAY,CANCELED


Working Orders
Notes,,Time Placed,Spread,Side,Qty,Pos Effect,Symbol,Exp,Strike,Type,PRICE,,TIF,Mark,Status
,,3/26/26 12:30:55,STOCK,BUY,+75,TO OPEN,NAVN,,,STOCK,11.0,LMT,DAY,,WORKING
""",
        1,
    ),
    "tos orders only": Case(
        """\
Account Order History
Notes,,Time Placed,Spread,Side,Qty,Pos Effect,Symbol,Exp,Strike,Type,PRICE,,TIF,Status
,,3/26/26 10:05:00,STOCK,BUY,+75,TO OPEN,NAVN,,,STOCK,11.00,LMT,DAY,CANCELED
,,3/26/26 10:06:00,STOCK,BUY,+75,TO OPEN,NAVN,,,STOCK,11.00,LMT,DAY,FILLED
""",
        "missing column time",
    ),
    "tos rejected with reason": Case(
        """\
Account Trade History
,Exec Time,Spread,Side,Qty,Pos Effect,Symbol,Exp,Strike,Type,Price,Net Price,Order Type
,3/26/26 11:00:00,VERTICAL,BUY,+1,TO OPEN,SPXW,27 MAR 26 (Weeklys),6000,PUT,2.00,.70,LMT
,,,SELL,-1,TO OPEN,SPXW,27 MAR 26 (Weeklys),5990,PUT,1.30,DEBIT,
""",
        2,
    ),
    "robinhood futures? option cash": Case(
        """\
Activity Date,Process Date,Settle Date,Instrument,Description,Trans Code,Quantity,Price,Amount
3/13/2026,3/13/2026,3/16/2026,SPXW,"SPXW 3/13/2026 Call $6,000.00",BTO,2,$2.00,($400.08)
3/13/2026,3/13/2026,3/16/2026,SPXW,"SPXW 3/13/2026 Call $6,000.00",STC,1,$3.00,$299.96
3/13/2026,3/13/2026,3/16/2026,SPXW,"Option Expiration for SPXW 3/13/2026 Call $6,000.00",OEXP,1,,
""",
        2,
    ),
    "webull us 12h app": Case(
        """\
Name,Symbol,Side,Status,Filled,Total Qty,Price,Avg Price,Time-in-Force,Placed Time,Filled Time
AMC,AMC,Sell,Partially Filled,"1,040","2,000",@5.30,5.31,DAY,03/13/2026 01:00:00 PM EDT,03/13/2026 01:00:02 PM EDT
""",
        ("03-13 13:00 AMC SELL 1040",),
    ),
    "schwab with commas in date range total": Case(
        """\
"Date","Action","Symbol","Description","Quantity","Price","Fees & Comm","Amount"
"03/13/2026","Buy to Open","SPXW 03/13/2026 6000.00 C","CALL S & P 500","2","$2.00","$1.32","-$401.32"
"03/13/2026","Sell to Close","SPXW 03/13/2026 6000.00 C","CALL S & P 500","2","$3.00","$1.32","$598.68"
"03/13/2026","Bought To Cover","GME","GAMESTOP","5","$30","","-$150"
"03/13/2026","NRA Tax Adj","KO","COCA","","","","-$1"
"03/13/2026","Wire Sent","","","","","","-$1"
""",
        3,
    ),
    "tws log two accounts": Case(
        """\
Action,Quantity,Symbol,Price,Currency,Time,Date,Exch.,Key,Account
BOT,100,AAPL,187.25,USD,10:31:22,20260313,ARCA,1,U1234567
SLD,100,AAPL,187.25,USD,10:31:22,20260313,ARCA,2,U7654321
""",
        "holds 2 accounts",
    ),
    "tws log thousands and slash dates": Case(
        """\
Action,Quantity,Symbol,Price,Currency,Time,Date,Exch.,Key,Account
BOT,"1,100",BRK B,187.25,USD,10:31:22,03/13/2026,ARCA,1,U1234567
SSHORT,100,AAPL,187.25,USD,11:31:22,03/13/2026,ARCA,2,U1234567
""",
        2,
    ),
    "tws log odd security": Case(
        """\
Action,Quantity,Symbol,Price,Currency,Time,Date,Exch.,Key,Account
BOT,1,SPY Apr17 '26 600/610 Call,0.7,USD,10:31:22,20260313,SMART,1,U1234567
""",
        "is no single security",
    ),
    "nothing but html": Case(
        """\
<html><body>Session expired</body></html>""",
        "is no Flex report",
        "x.xml",
    ),
    "json error answer": Case(
        """\
{"code":40110000,"message":"access key verification failed"}""",
        "holds no list of executions",
        "a.json",
    ),
    "alpaca activities json": Case(
        """\
[{"id":"20260313::1","activity_type":"FILL","transaction_time":"2026-03-13T14:00:00.12Z","type":"partial_fill","price":"1","qty":"3","side":"sell_short","symbol":"AMC","leaves_qty":"0","order_id":"1","cum_qty":"3","order_status":"filled"}]""",
        1,
        "a.json",
    ),
    "ib statement cfds and funds": Case(
        """\
Statement,Header,Field Name,Field Value
Statement,Data,Period,"March 13, 2026"
Trades,Header,DataDiscriminator,Asset Category,Currency,Symbol,Date/Time,Quantity,T. Price,C. Price,Proceeds,Comm/Fee,Basis,Realized P/L,MTM P/L,Code
Trades,Data,Order,Stocks,USD,AMC,"2026-03-13, 10:46:38",10,39.83,,,,,,,O
Trades,Data,Order,CFDs,USD,IBUS500,"2026-03-13, 10:46:38",1,5000,,,,,,,O
Trades,Data,Order,Mutual Funds,USD,VFINX,"2026-03-13, 16:00:00",1,500,,,,,,,O
""",
        1,
    ),
    "ib statement unknown category": Case(
        """\
Statement,Header,Field Name,Field Value
Statement,Data,Period,"March 13, 2026"
Trades,Header,DataDiscriminator,Asset Category,Currency,Symbol,Date/Time,Quantity,T. Price,C. Price,Proceeds,Comm/Fee,Basis,Realized P/L,MTM P/L,Code
Trades,Data,Order,Event Contracts,USD,AMC,"2026-03-13, 10:46:38",10,39.83,,,,,,,O
""",
        "unknown security type",
    ),
    "ib_insync fills twice in one file": Case(
        """\
execId,time,acctNumber,exchange,side,shares,price,permId,orderId,symbol
0001.01,2026-03-13 14:31:22+00:00,DU1,ARCA,BOT,40.0,187.25,1,5,AAPL
0001.01,2026-03-13 14:31:22+00:00,DU1,ARCA,BOT,40.0,187.25,1,5,AAPL
0002.01,2026-03-13 14:31:22+00:00,DU1,ARCA,BOT,40.0,187.25,1,5,AAPL
""",
        2,
    ),
    "tws log in europe, ambiguous": Case(
        """\
Action,Quantity,Symbol,Price,Currency,Time,Date,Exch.,Key,Account
BOT,100,AAPL,187.25,USD,15:31:22,03/04/2026,ARCA,1,U1234567
""",
        "with the day first",
    ),
    "tws log in europe, proved": Case(
        """\
Action,Quantity,Symbol,Price,Currency,Time,Date,Exch.,Key,Account
BOT,100,AAPL,187.25,USD,15:31:22,13/03/2026,ARCA,1,U1234567
BOT,100,AAPL,187.25,USD,15:31:22,04/03/2026,ARCA,2,U1234567
""",
        ("03-04 15:31 AAPL BUY 100", "03-13 15:31 AAPL BUY 100"),
    ),
    # ExportData.csv of "Export All Activity" at Merrill Edge
    "merrill, with blanks before its commas and the side in its words": Case(
        """\
Exported on: 03/14/2026 09:27 PM ET

"Trade Date" ,"Settlement Date" ,"Account" ,"Description" ,"Type" ,"Symbol/ CUSIP" ,"Quantity" ,"Price" ,"Amount" ," "
,
"03/13/2026" ,"03/16/2026" ,"CMA-Edge 00X-00000" ,"Purchase  PROCTER & GAMBLE CO ACTUAL PRICES, REMUNERATION" ,"" ,"PG" ,"300" ,"$151.89" ,"-$45,567.00" ,""
"03/13/2026" ,"03/16/2026" ,"CMA-Edge 00X-00000" ,"Sale  PROCTER & GAMBLE CO ACTUAL PRICES" ,"" ,"PG" ,"-300" ,"$152.89" ,"$45,867.00" ,""
"03/12/2026" ,"03/12/2026" ,"CMA-Edge 00X-00000" ,"Bank Interest ML DIRECT DEPOSIT PROGRM" ,"" ,"990111111" ,"" ,"" ,"$0.50" ,""
,
""",
        ("03-13 09:30 PG BUY 300", "03-13 09:30 PG SELL 300"),
    ),
    # https://documentation.tradier.com/brokerage-api/accounts/get-account-history
    "tradier history, whose quantities alone tell the side and whose dates are midnights of UTC": Case(
        """\
{"history":{"event":[{"amount":-3000,"date":"2026-03-13T00:00:00Z","type":"trade","trade":{"commission":0.0,"description":"AMC","price":30.0,"quantity":100.0,"symbol":"AMC","trade_type":"Equity"}},{"amount":3100,"date":"2026-03-13T00:00:00Z","type":"trade","trade":{"commission":0.0,"description":"AMC","price":31.0,"quantity":-100.0,"symbol":"AMC","trade_type":"Equity"}},{"amount":10,"date":"2026-03-12T00:00:00Z","type":"ach","ach":{"description":"ACH DEPOSIT","quantity":0.0}}]}}""",
        ("03-13 09:30 AMC BUY 100.0", "03-13 09:30 AMC SELL 100.0"),
        "t.json",
    ),
    # https://www.questrade.com/api/documentation/rest-operations/account-calls/accounts-id-activities
    "questrade activities, newest first, at midnights of New York": Case(
        """\
{"activities":[{"tradeDate":"2026-03-13T00:00:00.000000-04:00","action":"Sell","symbol":"AMC","description":"AMC","currency":"USD","quantity":-10,"price":188,"type":"Trades"},{"tradeDate":"2026-03-13T00:00:00.000000-04:00","action":"Buy","symbol":"AMC","description":"AMC","currency":"USD","quantity":10,"price":187,"type":"Trades"}]}""",
        ("03-13 09:30 AMC BUY 10", "03-13 09:30 AMC SELL 10"),
        "q.json",
    ),
    "dates as midnights of New York in UTC, newest first": Case(
        "date,symbol,side,quantity\n2026-03-13T04:00:00Z,AMC,SELL,10\n2026-03-13T04:00:00Z,AMC,BUY,10\n",
        ("03-13 09:30 AMC BUY 10", "03-13 09:30 AMC SELL 10"),
    ),
    "one midnight among other times is a time": Case(
        "time,symbol,side,quantity\n2026-03-13T00:00:00Z,AMC,SELL,10\n2026-03-13T14:00:00Z,AMC,BUY,10\n",
        ("03-12 20:00 AMC SELL 10", "03-13 10:00 AMC BUY 10"),
    ),
    # https://www.interactivebrokers.com/campus/ibkr-api-page/cpapi-v1/#trades
    "client portal trades, whose times are UTC": Case(
        """\
[{"execution_id":"0000e0d5.6576fd38.01.01","symbol":"TSLA","supports_tax_opt":"1","side":"S","order_description":"Sold 5 @ 192.26 on ISLAND","trade_time":"20260313-18:00:49","trade_time_r":1773424849000,"size":5,"price":"192.26","order_ref":"Order123","account":"U1234567","sec_type":"STK","conid":76792991}]""",
        ("03-13 14:00 TSLA SELL 5",),
        "t.json",
    ),
    # https://www.quantconnect.com/docs/v2/cloud-platform/backtesting/results
    "quantconnect orders, whose quantities alone tell the side": Case(
        "Time,Symbol,Price,Quantity,Type,Status,Value,Tag\n2026-03-13T14:30:05Z,AMC,5,100,Market,Filled,500,\n"
        "2026-03-13T15:30:05Z,AMC,5,-100,Limit,Filled,-500,\n",
        ("03-13 10:30 AMC BUY 100", "03-13 11:30 AMC SELL 100"),
    ),
    "schwab orders of the day, with the zone in a name, the clock first and units behind quantities": Case(
        """\
"Symbol","Name of security","Status","Action","Quantity|Face Value","Price","Timing","Fill Price","Time and Date (ET)","Last Activity Date (ET)","Reinvest Capital Gains","Order Number"
"AMC","AMC","Filled","Buy","10 Shares","Limit $5.25","Day Only","$5.20","10:14 AM 03/13/2026","03/13/2026","No","1"
"AMC","AMC","Filled","Sell","10 Shares","Market","Day Only","$5.30","1:14 PM 03/13/2026","03/13/2026","No","2"
"AMC","AMC","Canceled","Sell","10 Shares","Market","Day Only","-","1:15 PM 03/13/2026","03/13/2026","No","3"
""",
        ("03-13 10:14 AMC BUY 10", "03-13 13:14 AMC SELL 10"),
    ),
    # https://developer.schwab.com, Trader API: an order with its legs and its executions
    "schwab api, orders with their fills, one working and one cancelled after a part": Case(
        """\
[{"orderType":"LIMIT","quantity":10.0,"filledQuantity":0.0,"orderLegCollection":[{"orderLegType":"EQUITY","legId":1,"instrument":{"assetType":"EQUITY","symbol":"AMC"},"instruction":"BUY","quantity":10.0}],"orderId":1,"status":"WORKING","enteredTime":"2026-03-13T14:29:59+0000"},
{"orderType":"LIMIT","quantity":10.0,"filledQuantity":4.0,"orderLegCollection":[{"orderLegType":"EQUITY","legId":1,"instrument":{"assetType":"EQUITY","symbol":"AMC"},"instruction":"SELL_SHORT","quantity":10.0}],"orderId":2,"status":"CANCELED","closeTime":"2026-03-13T20:30:05+0000","orderActivityCollection":[{"activityType":"EXECUTION","executionType":"FILL","quantity":4.0,"executionLegs":[{"legId":1,"quantity":3.0,"price":5.25,"time":"2026-03-13T15:29:05+0000"}]},{"activityType":"EXECUTION","executionType":"FILL","quantity":1.0,"executionLegs":[{"legId":1,"quantity":1.0,"price":5.25,"time":"2026-03-13T15:30:05+0000"}]}]},
{"orderType":"NET_DEBIT","quantity":2.0,"filledQuantity":2.0,"orderLegCollection":[{"legId":1,"instrument":{"assetType":"OPTION","symbol":"SPY   260417C00600000"},"instruction":"BUY_TO_OPEN","positionEffect":"OPENING","quantity":2.0},{"legId":2,"instrument":{"assetType":"OPTION","symbol":"SPY   260417C00610000"},"instruction":"SELL_TO_OPEN","positionEffect":"OPENING","quantity":2.0}],"orderId":3,"status":"FILLED","orderActivityCollection":[{"activityType":"EXECUTION","executionType":"FILL","quantity":2.0,"executionLegs":[{"legId":1,"quantity":2.0,"price":2.25,"time":"2026-03-13T16:29:05+0000"},{"legId":2,"quantity":2.0,"price":1.25,"time":"2026-03-13T16:29:05+0000"}]}]}]""",
        (
            "03-13 11:29 AMC SELL 3.0",
            "03-13 11:30 AMC SELL 1.0",
            "03-13 12:29 SPY@options 2026-04-17 C600 BUY 2.0",
            "03-13 12:29 SPY@options 2026-04-17 C610 SELL 2.0",
        ),
        "s.json",
    ),
    "revolut, with orders' types beside sides and money that is moved": Case(
        """\
Date,Ticker,Type,Quantity,Price per share,Total Amount,Currency,FX Rate
2026-03-13T14:30:05.123456Z,AMC,BUY - MARKET,10,USD 5.25,USD 52.50,USD,1.08
2026-03-13T15:30:05.123456Z,AMC,SELL - LIMIT,10,USD 5.30,USD 53.00,USD,1.08
2026-03-12T15:30:05.123456Z,,CASH TOP-UP,,,USD 100,USD,1.08
""",
        ("03-13 10:30 AMC BUY 10", "03-13 11:30 AMC SELL 10"),
    ),
    "trading 212, whose times name no zone": Case(
        """\
Action,Time,ISIN,Ticker,Name,Notes,ID,No. of shares,Price / share,Currency (Price / share)
Market buy,2026-03-13 14:30:05.123,US00165C1045,AMC,"AMC",,EOF111,10.0000000000,5.25,USD
""",
        "or set executions.zone",
    ),
    "trading 212 with the zone in a name": Case(
        """\
Action,Time (UTC),ISIN,Ticker,Name,Notes,ID,No. of shares,Price / share,Currency (Price / share)
Deposit,2026-03-12 08:00:00,,,,"Bank Transfer",abc,,,
Market buy,2026-03-13 14:30:05.123,US00165C1045,AMC,"AMC",,EOF111,10.0000000000,5.25,USD
Stop limit sell,2026-03-13 15:30:05.123,US00165C1045,AMC,"AMC",,EOF112,10.0000000000,5.25,USD
""",
        ("03-13 10:30 AMC BUY 10.0000000000", "03-13 11:30 AMC SELL 10.0000000000"),
    ),
    "wealthsimple, whose direction is that of the position": Case(
        """\
transaction_date,settlement_date,account_id,activity_type,activity_sub_type,direction,symbol,name,currency,quantity,unit_price
2026-03-13,2026-03-16,A1,Trade,BUY,LONG,AMC,AMC,USD,10,5.25
2026-03-13,2026-03-16,A1,Trade,SELL,LONG,AMC,AMC,USD,10,5.30
2026-03-13,2026-03-16,A1,MoneyMovement,EFT,,,,CAD,,
""",
        ("03-13 09:30 AMC BUY 10", "03-13 09:30 AMC SELL 10"),
    ),
    "wealthsimple, a sale alone": Case(
        "transaction_date,activity_type,activity_sub_type,direction,symbol,quantity\n2026-03-13,Trade,SELL,LONG,AMC,10\n",
        ("03-13 09:30 AMC SELL 10",),
    ),
    "das and sterling, with a route": Case(
        """\
Date,Time,Symbol,Side,Price,Qty,Route
3/13/2026,10:30:05,AMC,B,5.25,100,SMRT
3/13/2026,11:30:05,AMC,SS,5.30,100,SMRT
""",
        ("03-13 10:30 AMC BUY 100", "03-13 11:30 AMC SELL 100"),
    ),
    **{
        f"ib statement, stocks in {language}": Case(
            f"Statement,Header,Field Name,Field Value\nX,Header,DataDiscriminator,a,b,c,d,e,f,g\n"
            f'X,Data,Order,{word},USD,AMC,"2026-03-13, 10:46:38",10,39,O\n',
            ("03-13 10:46 AMC BUY 10",),
        )
        for language, word in (("Dutch", "Aandelen"), ("Japanese", "株式"), ("Russian", "Акции"), ("Chinese", "股票"))
    },
    "degiro names no symbols": Case(
        """\
Date,Time,Product,ISIN,Reference exchange,Venue,Quantity,Price,,Local value,,Value,,Exchange rate
13-03-2026,16:30,AMC,US00165C1045,NDQ,XNAS,-10,"5,2500",USD,"52,50",USD,"48,00",EUR,"1,08"
""",
        "missing column symbol; found",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_list_is_counted_as_by_hand(name: str) -> None:
    case = CASES[name]
    if isinstance(case.right, str):
        with pytest.raises(InputError, match=case.right):
            read_executions(case.text.encode(), case.name)
        return
    report = read_executions(case.text.encode(), case.name)
    rows = sorted(report.executions, key=lambda row: row.filled_at)
    found = [
        f"{row.filled_at.astimezone(NEW_YORK):%m-%d %H:%M} {row.security} {row.side.value} {row.quantity}"
        for row in rows
    ]
    assert (len(found) if isinstance(case.right, int) else tuple(found)) == case.right
