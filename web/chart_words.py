"""The roles of the posting rules in words: what is booked to the account of each (0006)."""

from __future__ import annotations

ROLE_WORDS: dict[str, str] = {
    "cash_float": "Cash that the strategies spend: deposits, purchases, sales, dividends, fees",
    "tax_reserve": "Cash set aside for taxes",
    "payroll_reserve": "Cash set aside for payroll",
    "reinvestment_pool": "Cash set aside for long-term purchases under way",
    "trading_securities": "Stocks and funds that the strategies hold, at cost",
    "trading_options": "Long options that the strategies hold, at cost",
    "holdings_securities": "Securities held for the long term, at cost",
    "tax_reserve_vehicle": "Securities that the tax reserve is held in, at cost",
    "suspense": "A difference to the broker that nothing explains, until it is resolved",
    "tax_payable": "Taxes owed",
    "payroll_payable": "Wages owed",
    "accrued_fees": "Broker's fees that are due and not charged yet",
    "opening_equity": "Deposits by the owner",
    "owner_draws": "Withdrawals by the owner",
    "retained_earnings": "Results of earlier years",
    "gain_short_term": "Gains and losses of sales within a year",
    "gain_long_term": "Gains and losses of sales after more than a year",
    "dividends": "Dividends received, before tax withheld",
    "interest": "Interest received",
    "commissions": "Commissions of fills",
    "fees": "Regulatory and broker's fees, of fills and on their own",
    "margin_interest": "Interest charged on borrowed cash",
    "payroll": "Wages paid out of the payroll reserve",
    "income_tax": "Income tax paid out of the tax reserve",
    "withholding_tax": "Tax withheld from dividends",
    "rounding": "Fractions of a cent between computed and stated amounts",
    "unrealized": "Gains and losses not realized yet; outside the trial balance",
    "slippage": "Difference to the price that was expected; outside the trial balance",
}
